"""The model itself: tests/integration/test_ner.py."""

import sys

import pytest

from guardrails.ner import WEIGHTS, pipeline


def test_without_weights_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.cache_clear()
    for package in WEIGHTS:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"LOCATION.*PERSON.*lockgate\[pii\]"):
        pipeline(True)


def test_without_spacy_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline.cache_clear()
    monkeypatch.setitem(sys.modules, "spacy.language", None)
    with pytest.raises(ImportError, match=r"need spacy.*lockgate\[pii\]"):
        pipeline(False)

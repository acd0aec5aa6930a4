"""What it finds: tests/integration/test_ner.py."""

import sys
from collections.abc import Callable

import pytest

from guardrails import presidio


def test_an_entity_that_is_not_known_here_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(ValueError, match="no recogniser of EMAIL_ADDRESS"):
        presidio.load_recogniser(["EMAIL_ADDRESS", "PERSON"])
    with pytest.raises(ValueError, match="nothing"):
        presidio.load_recogniser([])


def test_without_presidio_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presidio, "pipeline", _no_pipeline())
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(ImportError, match=r"presidio_analyzer.*lockgate\[pii\]"):
        presidio.load_recogniser(["UK_NHS"])


def _no_pipeline() -> Callable[[bool], None]:
    return lambda names: None

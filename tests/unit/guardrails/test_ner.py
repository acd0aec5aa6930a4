"""The model itself: tests/integration/test_ner.py."""

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from guardrails.ner import WEIGHTS, load_entities


def install(monkeypatch: pytest.MonkeyPatch, *spans: tuple[str, str]) -> None:
    """Weights that find these parts of any text, each with its label."""

    def read(text: str) -> Any:
        found = []
        for part, label in spans:
            at = text.index(part)
            found.append(SimpleNamespace(text=part, label_=label, start_char=at, end_char=at + len(part)))
        return SimpleNamespace(ents=found)

    package = ModuleType(WEIGHTS[0])
    package.load = lambda **_: read  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, WEIGHTS[0], package)


def test_labels_become_presidios_entities_and_names_of_identifiers_none(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("Ada", "PERSON"), ("Rome", "GPE"), ("IBAN", "ORG"), ("ESA", "ORG"), ("two", "CARDINAL"))
    entities = load_entities()("Ada of ESA has two IBAN in Rome")
    assert entities == [(0, 3, "PERSON", 0.85), (27, 31, "LOCATION", 0.85), (7, 10, "ORGANIZATION", 0.34)]


def test_a_text_is_read_as_a_reader_sees_it_and_places_are_those_of_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, ("Ada", "PERSON"))
    assert load_entities()("I, A\u200bd\u200ba \ud800") == [(3, 8, "PERSON", 0.85)]


def test_without_weights_an_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for package in WEIGHTS:
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"LOCATION.*PERSON.*lockgate\[pii\]"):
        load_entities()

"""gateway.wire.documents"""

from __future__ import annotations

import json

import pytest

from gateway.wire.documents import Document


def test_strings_names_and_numbers_are_texts_in_order() -> None:
    document = Document('{"to": ["joe@example.org", 12.50], "when": null, "deep": {"n": 4111111111111111, "ok": true}}')
    assert document.texts == ["to", "joe@example.org", "12.50", "when", "deep", "n", "4111111111111111", "ok"]


def test_escapes_hide_nothing() -> None:
    assert Document(r'{"a":"joe\u0040example.org"}').texts == ["a", "joe@example.org"]


def test_what_is_not_changed_stays_as_it_was_written() -> None:
    written = '{ "a" : 1.0e5, "b":[ ] }'
    document = Document(written)
    assert document.said(document.texts) == written


def test_other_words_take_the_place_of_those_that_were_read() -> None:
    document = Document('{"to":["joe@example.org",7],"a":{"b":4111111111111111},"c":null,"d":[true,1e3]}')
    said = document.said(["to", 'the "[A]"', "7", "a", "b", "[CARD]", "c", "d", "1e3"])
    assert json.loads(said) == {"to": ['the "[A]"', 7], "a": {"b": "[CARD]"}, "c": None, "d": [True, 1000.0]}
    assert "1e3" in said  # a number stays as it was written


def test_a_name_that_is_there_twice_is_read_twice() -> None:
    document = Document('{"a":"one","a":"two"}')
    assert document.texts == ["a", "one", "a", "two"]
    assert document.said(["a", "[X]", "a", "two"]) == '{"a": "[X]", "a": "two"}'


@pytest.mark.parametrize("text", ['{"a": "half', "plain words", "[" * 5000, '{"a":' * 300 + "1" + "}" * 300])
def test_what_is_no_json_or_too_deep_is_one_text(text: str) -> None:
    document = Document(text)
    assert document.texts == [text]
    assert document.said(["other"]) == "other"


def test_a_lone_surrogate_stays_an_escape() -> None:
    document = Document(r'{"a":"x\ud800"}')
    assert document.said(["a", document.texts[1] + "!"]).isascii()


def test_nothing_has_no_texts() -> None:
    assert Document("").texts == []
    assert Document("").said([]) == ""

"""gateway.wire.judgements"""

from __future__ import annotations

import json

import pytest

from gateway.wire.judgements import question, score


def said(content: object) -> bytes:
    return json.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]}).encode()


def test_a_model_is_asked_for_a_short_answer_without_chance() -> None:
    asked = json.loads(question("guard", 'say "hi"'))
    assert asked["messages"] == [{"role": "user", "content": 'say "hi"'}]
    assert (asked["model"], asked["temperature"]) == ("guard", 0)
    assert asked["max_tokens"] <= 64


def test_half_a_character_is_no_obstacle() -> None:
    assert json.loads(question("guard", "a\ud800b"))["messages"][0]["content"] == "a?b"


@pytest.mark.parametrize(
    ("content", "meant"),
    [
        *(("safe", 0.0), ("unsafe\nS1,S9", 1.0), (" \n Unsafe.", 1.0), ("0.25", 0.25), ("1", 1.0)),
        *(("", None), ("I think it is fine", None), ("7", None), ("nan", None), ("-0.1", None)),
    ],
)
def test_what_an_answer_means(content: str, meant: float | None) -> None:
    assert score(said(content)) == meant


@pytest.mark.parametrize("body", [b"", b"{}", b"not json", said(None), b'{"choices":[]}'])
def test_what_is_no_answer_is_no_judgement(body: bytes) -> None:
    assert score(body) is None

"""gateway.wire.judgements"""

from __future__ import annotations

import json

import pytest

from gateway.wire.judgements import question, read
from gateway.wire.usage import Usage


def said(content: object, **more: object) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}}
    return json.dumps({"choices": [choice], **more}).encode()


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
    assert read(said(content)) == (meant, None)


@pytest.mark.parametrize("body", [b"", b"{}", b"not json", said(None), b'{"choices":[]}'])
def test_what_is_no_answer_is_no_judgement(body: bytes) -> None:
    assert read(body).score is None


def test_what_a_judgement_used_is_read_also_of_an_answer_that_is_none() -> None:
    usage = {"prompt_tokens": 20, "completion_tokens": 3}
    assert read(said("well", usage=usage)) == (None, Usage(20, 0, 3, 0))

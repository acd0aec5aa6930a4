"""Usage as disjoint classes, from answers that state it well, badly or not at all."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.usage import MAX_TOKENS, Usage, from_answer, from_frame


def answer(usage: Any, **more: Any) -> bytes:
    return json.dumps({"id": "x", "choices": [{"message": {"content": '"usage": 5'}}], **more, "usage": usage}).encode()


def test_cached_input_and_reasoning_are_taken_out_of_their_totals() -> None:
    stated = {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "total_tokens": 130,
        "prompt_tokens_details": {"cached_tokens": 64, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 10},
    }
    assert from_answer(answer(stated)) == Usage(36, 64, 20, 10)


@pytest.mark.parametrize("nothing", [None, {}])
def test_missing_details_are_no_details(nothing: object) -> None:
    stated = {
        "prompt_tokens": 9,
        "completion_tokens": 3,
        "prompt_tokens_details": nothing,
        "completion_tokens_details": nothing,
    }
    assert from_answer(answer(stated)) == Usage(9, 0, 3, 0)


def test_an_embedding_has_no_output() -> None:
    assert from_answer(b'{"object":"list","usage":{"prompt_tokens":7,"total_tokens":7}}') == Usage(7, 0, 0, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[DONE]",
        b"{",
        b"[]",
        b"null",
        b'"usage"',
        b"{}",
        b'{"usage":null}',
        b'{"usage":[]}',
        b'{"usage":"5"}',
        b'{"usage":{}}',
        b'{"usage":{"completion_tokens":5}}',
        b'{"usage":{"prompt_tokens":',
        b"\xff\xfe",
        b'{"usage":{"\xff":1}}',
        b'{"x":' + b"[" * 100_000,
        b'{"usage":{"x":' + b"[" * 100_000,
        b"<html>usage</html>",
    ],
)
def test_a_body_without_usage_has_unknown_usage_and_is_no_error(body: bytes) -> None:
    assert from_answer(body) is None


@pytest.mark.parametrize("absurd", [-1, 2.5, "9", True, [], {}, MAX_TOKENS + 1, 10**40])
def test_an_absurd_total_makes_the_usage_unknown(absurd: object) -> None:
    assert from_answer(answer({"prompt_tokens": absurd, "completion_tokens": 1})) is None
    assert from_answer(answer({"prompt_tokens": 1, "completion_tokens": absurd})) is None


@pytest.mark.parametrize("absurd", [-1, 2.5, "9", True, [], {}, 11, 10**40])
def test_an_absurd_part_stays_in_its_total(absurd: object) -> None:
    stated = {
        "prompt_tokens": 10,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": absurd},
        "completion_tokens_details": {"reasoning_tokens": absurd},
    }
    assert from_answer(answer(stated)) == Usage(10, 0, 10, 0)


@pytest.mark.parametrize("odd", [5, "x", [1]])
def test_details_of_another_shape_are_no_details(odd: object) -> None:
    stated = {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": odd}
    assert from_answer(answer(stated)) == Usage(10, 0, 4, 0)


def test_the_last_frame_of_a_stream_states_usage_and_the_others_none() -> None:
    assert from_frame(b'{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}') == Usage(5, 0, 2, 0)
    assert from_frame(b'{"choices":[{"delta":{"content":"x"}}],"usage":null}') is None
    assert from_frame(b"[DONE]") is None

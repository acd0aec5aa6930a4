"""OpenAI's responses through a gateway: to a backend that speaks them, and translated to one that does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.store.records import Record
from tests.support.talking import body, error, status, talk
from tests.support.upstream import (
    DONE_FRAME,
    FRAMES,
    LAST_CHUNK,
    STREAM_HEAD,
    USAGE_FRAME,
    Script,
    Upstream,
    chunk,
    hangs,
    says,
    says_and_closes,
    stream,
    unary,
)
from tests.support.wire_samples import SAMPLES

ASKED: dict[str, Any] = {"model": "m", "input": "hi", "user": "someone"}
STREAMED = {**ASKED, "stream": True}
RESPONSE = (SAMPLES / "vllm/responses.json").read_bytes()
EVENTS = (SAMPLES / "vllm/responses_stream.sse").read_bytes()
NATIVE, TRANSLATED = "vllm", "fake"
"""Kinds of backends that speak the format, and that do not."""


def ask(
    tmp_path: Path, kind: str, script: Script, request: dict[str, Any] = ASKED
) -> tuple[bytes, list[Record], Upstream]:
    return talk(tmp_path, [script], request, path="/v1/responses", kind=kind)


def events(answer: bytes) -> list[dict[str, Any]]:
    """The data of the events of a streamed answer."""
    frames = body(answer).removesuffix(b"\n\n").split(b"\n\n")
    return [json.loads(frame.partition(b"\ndata: ")[2]) for frame in frames]


# -- passed on


def test_a_backend_that_speaks_the_format_gets_it_as_it_came_but_is_told_not_to_store(tmp_path: Path) -> None:
    answer, (record,), upstream = ask(tmp_path, NATIVE, says(unary(RESPONSE)), {**ASKED, "store": True, "top_k": 5})
    (seen,) = upstream.seen
    assert seen.head.startswith(b"POST /v1/responses ")
    sent = json.loads(seen.body)
    assert (sent.pop("model"), sent.pop("store"), len(sent.pop("cache_salt"))) == ("served", False, 43)
    assert sent == {"input": "hi", "user": "someone", "top_k": 5}
    assert body(answer) == RESPONSE
    assert (record.endpoint, record.end_user, record.outcome) == ("responses", "someone", "answered")
    assert (record.input_tokens, record.output_tokens) == (12, 4)


def test_its_stream_passes_byte_for_byte_and_its_usage_is_recorded(tmp_path: Path) -> None:
    answer, (record,), _ = ask(tmp_path, NATIVE, says(STREAM_HEAD + chunk(EVENTS) + LAST_CHUNK), STREAMED)
    assert body(answer) == EVENTS
    assert ((record.input_tokens or 0) + (record.cached_input_tokens or 0), record.output_tokens) == (12, 4)
    assert (record.outcome, record.stream) == ("answered", True)


# -- translated


def test_any_other_backend_gets_a_chat_and_its_answer_comes_back_as_a_response(tmp_path: Path) -> None:
    answer, (record,), upstream = ask(tmp_path, TRANSLATED, says(unary()))
    (seen,) = upstream.seen
    assert seen.head.startswith(b"POST /v1/chat/completions ")
    assert json.loads(seen.body) == {
        "model": "served",
        "messages": [{"role": "user", "content": "hi"}],
        "user": "someone",
    }
    response = json.loads(body(answer))
    assert (response["object"], response["status"], response["store"]) == ("response", "completed", False)
    assert response["output"][0]["content"][0]["text"] == "hello"
    assert response["usage"]["total_tokens"] == 6
    assert (record.endpoint, record.input_tokens, record.output_tokens) == ("responses", 5, 1)


def test_its_stream_comes_back_as_events(tmp_path: Path) -> None:
    sent = stream([*FRAMES, USAGE_FRAME, DONE_FRAME])
    answer, (record,), upstream = ask(tmp_path, TRANSLATED, says(sent), STREAMED)
    assert json.loads(upstream.seen[0].body)["stream_options"] == {"include_usage": True}
    assert b"content-type: text/event-stream" in answer
    told = events(answer)
    assert [event["delta"] for event in told if event["type"].endswith(".delta")] == ["hel", "lo"]
    assert (told[-1]["type"], told[-1]["response"]["usage"]["total_tokens"]) == ("response.completed", 7)
    assert (record.outcome, record.input_tokens, record.output_tokens) == ("answered", 5, 2)


def test_a_chat_that_cannot_be_read_is_a_502(tmp_path: Path) -> None:
    answer, (record,), _ = ask(tmp_path, TRANSLATED, says(unary(b'{"object":"list"}')))
    assert (status(answer), error(answer)["code"]) == (502, "upstream_protocol")
    assert record.outcome == "failed"


def test_what_the_backend_says_of_the_request_comes_as_it_said_it(tmp_path: Path) -> None:
    refused = b'{"error":{"message":"too hot","type":"BadRequestError","param":"temperature","code":400}}'
    answer, (record,), _ = ask(tmp_path, TRANSLATED, says(unary(refused, "400 Bad Request")))
    assert (status(answer), body(answer), record.code) == (400, refused, "upstream_rejected")


# -- refused, broken


@pytest.mark.parametrize("kind", [NATIVE, TRANSLATED])
def test_a_state_between_requests_is_refused_before_anything_is_sent(tmp_path: Path, kind: str) -> None:
    answer, (record,), upstream = ask(tmp_path, kind, says(unary()), {**ASKED, "previous_response_id": "resp_1"})
    assert (status(answer), error(answer)["param"]) == (400, "previous_response_id")
    assert "send the whole input" in error(answer)["message"]
    assert (upstream.seen, record.code) == ([], "invalid_request")


def test_what_cannot_be_translated_is_refused_by_its_place(tmp_path: Path) -> None:
    answer, _, upstream = ask(tmp_path, TRANSLATED, says(unary()), {**ASKED, "tools": [{"type": "web_search"}]})
    assert (status(answer), error(answer)["param"]) == (400, "tools[0]")
    assert upstream.seen == []


@pytest.mark.parametrize("kind", [NATIVE, TRANSLATED])
@pytest.mark.parametrize("ends", [says_and_closes, hangs, lambda data: says(data + b"zz\r\n")])
def test_a_stream_that_breaks_ends_with_an_error_event_and_is_never_completed(
    tmp_path: Path, kind: str, ends: Callable[[bytes], Script]
) -> None:
    half = EVENTS[: EVENTS.index(b"response.output_text.done") - 3] if kind == NATIVE else b"".join(FRAMES[:3])
    answer, (record,), _ = ask(tmp_path, kind, ends(STREAM_HEAD + chunk(half)), STREAMED)
    told = events(answer)
    assert [event["type"] for event in told].count("error") == 1
    assert told[-1]["type"] == "error"
    assert told[-1]["message"] == told[-1]["error"]["message"]
    assert b"response.completed" not in body(answer)
    assert record.outcome == "failed"
    assert record.code in ("stream_broken", "upstream_timeout")


def test_a_stream_that_ends_early_but_cleanly_is_no_whole_answer(tmp_path: Path) -> None:
    answer, (record,), _ = ask(tmp_path, TRANSLATED, says(stream(FRAMES[:3])), STREAMED)
    assert [event["type"] for event in events(answer)][-1] == "error"
    assert (record.outcome, record.code) == ("failed", "stream_broken")

"""Anthropic's messages through a gateway: to a backend that speaks the format, and translated to one that does not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.base import DIALECTS
from gateway.clock import within
from gateway.store.records import Record
from tests.support.anthropic_events import accumulate, check_order
from tests.support.gateway import config, post, serving
from tests.support.running import run, until
from tests.support.talking import body, status, talk
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

PATH, COUNT = "/v1/messages", "/v1/messages/count_tokens"
ASKED: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
STREAMED = {**ASKED, "stream": True}
MESSAGE = (SAMPLES / "vllm/messages.json").read_bytes()
EVENTS = (SAMPLES / "vllm/messages_stream.sse").read_bytes()
NATIVE, TRANSLATED = "vllm", "fake"
"""Kinds of backends that speak the format, and that do not."""
BOTH = pytest.mark.parametrize("kind", [NATIVE, TRANSLATED])


def ask(
    tmp_path: Path, kind: str, scripts: list[Script], request: Any = ASKED, path: str = PATH
) -> tuple[bytes, list[Record], Upstream]:
    return talk(tmp_path, scripts, request, path=path, kind=kind)


def error(answer: bytes) -> Any:
    """What an answer that is an error says; it must have Anthropic's shape."""
    told = json.loads(body(answer))
    assert told["type"] == "error"
    return told["error"]


def last_error(answer: bytes) -> Any:
    """What the last event of a stream that broke says."""
    event, _, data = body(answer).split(b"\n\n")[-2].partition(b"\n")
    assert event == b"event: error"
    return json.loads(data.removeprefix(b"data: "))["error"]


# -- passed on


def test_a_message_passes_unchanged_but_for_the_models_name(tmp_path: Path) -> None:
    answer, (record,), upstream = ask(tmp_path, NATIVE, [says(unary(MESSAGE))])
    assert body(answer) == MESSAGE
    (seen,) = upstream.seen
    assert seen.head.startswith(b"POST /v1/messages HTTP/1.1")
    sent = json.loads(seen.body)
    assert sent.pop("cache_salt")
    assert sent == {**ASKED, "model": "served"}
    assert (record.endpoint, record.outcome, record.code) == ("messages", "answered", "ok")
    assert (record.input_tokens, record.output_tokens) == (12, 4)


def test_a_stream_passes_byte_for_byte_and_its_usage_is_recorded(tmp_path: Path) -> None:
    parts = [EVENTS[at : at + 100] for at in range(0, len(EVENTS), 100)]
    answer, (record,), _ = ask(tmp_path, NATIVE, [says(stream(parts))], STREAMED)
    assert body(answer) == EVENTS
    assert (record.outcome, record.stream, record.output_tokens) == ("answered", True, 4)


def test_a_stream_that_breaks_behind_its_last_event_is_whole(tmp_path: Path) -> None:
    answer, (record,), _ = ask(tmp_path, NATIVE, [says_and_closes(STREAM_HEAD + chunk(EVENTS))], STREAMED)
    assert body(answer) == EVENTS
    assert record.outcome == "answered"


def test_a_count_passes(tmp_path: Path) -> None:
    counted = b'{"input_tokens":12}'
    answer, (record,), upstream = ask(tmp_path, NATIVE, [says(unary(counted))], path=COUNT)
    assert body(answer) == counted
    assert upstream.seen[0].head.startswith(b"POST /v1/messages/count_tokens ")
    assert (record.endpoint, record.input_tokens) == ("messages_count", None)


def test_an_error_in_band_passes_and_is_a_failed_record(tmp_path: Path) -> None:
    told = b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"no"}}\n\n'
    answer, (record,), _ = ask(tmp_path, NATIVE, [says(stream([told]))], STREAMED)
    assert body(answer) == told
    assert (record.outcome, record.code) == ("failed", "stream_broken")


# -- translated


def test_a_message_is_asked_as_a_chat_and_answered_as_a_message(tmp_path: Path) -> None:
    answer, (record,), upstream = ask(tmp_path, TRANSLATED, [says(unary())], {**ASKED, "system": "brief"})
    told = json.loads(body(answer))
    assert told["content"] == [{"type": "text", "text": "hello"}]
    assert told["usage"]["input_tokens"] == 5
    (seen,) = upstream.seen
    assert seen.head.startswith(b"POST /v1/chat/completions ")
    system = {"role": "system", "content": "brief"}
    assert json.loads(seen.body) == {**ASKED, "model": "served", "messages": [system, *ASKED["messages"]]}
    assert (record.endpoint, record.outcome, record.input_tokens) == ("messages", "answered", 5)


def test_a_stream_comes_as_events(tmp_path: Path) -> None:
    sent = stream([*FRAMES, USAGE_FRAME, DONE_FRAME])
    answer, (record,), upstream = ask(tmp_path, TRANSLATED, [says(sent)], STREAMED)
    check_order(body(answer))
    told = accumulate(body(answer))
    assert told["content"] == [{"type": "text", "text": "hello"}]
    assert (told["stop_reason"], told["usage"]["output_tokens"]) == ("end_turn", 2)
    assert json.loads(upstream.seen[0].body)["stream_options"] == {"include_usage": True}
    assert (record.outcome, record.output_tokens) == ("answered", 2)


def test_a_count_is_asked_of_tokenize(tmp_path: Path) -> None:
    answer, _, upstream = ask(tmp_path, TRANSLATED, [says(unary(b'{"count":7,"tokens":[1]}'))], path=COUNT)
    assert json.loads(body(answer)) == {"input_tokens": 7}
    assert upstream.seen[0].head.startswith(b"POST /tokenize ")


def test_what_cannot_be_translated_reaches_no_backend(tmp_path: Path) -> None:
    blocks = [{"type": "text", "text": "read"}, {"type": "document", "source": {}}]
    request = {**ASKED, "messages": [{"role": "user", "content": blocks}]}
    answer, (record,), upstream = ask(tmp_path, TRANSLATED, [says(unary())], request)
    assert status(answer) == 400
    assert "messages[0].content[1]: a block of type document" in error(answer)["message"]
    assert upstream.seen == []
    assert (record.outcome, record.code) == ("refused", "invalid_request")


def test_an_answer_that_is_no_chat_answer_is_a_502(tmp_path: Path) -> None:
    answer, (record,), _ = ask(tmp_path, TRANSLATED, [says(unary(b'{"hello":"world"}'))])
    assert status(answer) == 502
    assert error(answer)["details"] == {"error_code": "upstream_protocol"}
    assert (record.outcome, record.code) == ("failed", "upstream_protocol")


@pytest.mark.parametrize("end", [b'data: {"error":{"message":"oom"}}\n\n', b"data: what?\n\n", b""])
def test_a_stream_that_ends_in_nothing_ends_with_an_error_event(tmp_path: Path, end: bytes) -> None:
    sent = stream([*FRAMES[:2], *([end] if end else [])])
    answer, (record,), _ = ask(tmp_path, TRANSLATED, [says(sent)], STREAMED)
    assert last_error(answer)["details"] == {"error_code": "stream_broken"}
    assert b"message_stop" not in answer
    assert (record.outcome, record.code) == ("failed", "stream_broken")


# -- both


@BOTH
def test_a_stream_that_breaks_ends_with_an_error_event_and_no_stop(tmp_path: Path, kind: str) -> None:
    sent = FRAMES[1] if kind == TRANSLATED else EVENTS[:700]
    answer, (record,), _ = ask(tmp_path, kind, [says_and_closes(STREAM_HEAD + chunk(sent))], STREAMED)
    assert last_error(answer)["type"] == "api_error"
    assert b"message_stop" not in answer
    assert answer.endswith(LAST_CHUNK)
    assert (record.outcome, record.code) == ("failed", "stream_broken")


@BOTH
@pytest.mark.parametrize("server", ["vllm", "llama_cpp"])
def test_what_a_backend_says_of_a_request_comes_in_this_shape(tmp_path: Path, kind: str, server: str) -> None:
    said = (SAMPLES / server / "error_too_long.json").read_bytes()
    answer, (record,), _ = ask(tmp_path, kind, [says(unary(said, "400 Bad Request"))])
    assert status(answer) == 400
    assert error(answer)["message"] == json.loads(said)["error"]["message"]
    assert (record.outcome, record.code) == ("refused", "upstream_rejected")


@BOTH
@pytest.mark.parametrize(
    ("said", "status_", "kind_", "code"),
    [
        ("404 Not Found", 400, "invalid_request_error", "not_served"),
        ("429 Too Many Requests", 503, "overloaded_error", "upstream_busy"),
        ("500 Internal Server Error", 502, "api_error", "upstream_failed"),
    ],
)
def test_how_a_backend_fails_is_told_in_this_shape(
    tmp_path: Path, kind: str, said: str, status_: int, kind_: str, code: str
) -> None:
    answer, _, _ = ask(tmp_path, kind, [says(unary(b"{}", said))])
    assert status(answer) == status_
    assert (error(answer)["type"], error(answer)["details"]["error_code"]) == (kind_, code)


@BOTH
def test_a_backend_that_stalls_is_a_timeout_error(tmp_path: Path, kind: str) -> None:
    answer, _, _ = ask(tmp_path, kind, [hangs()])
    assert status(answer) == 504
    assert error(answer)["type"] == "timeout_error"


@pytest.mark.parametrize("path", [PATH, COUNT])
@pytest.mark.parametrize(
    ("request_", "extra", "status_", "kind_"),
    [
        (b"{", b"", 400, "invalid_request_error"),
        (b'{"model":"m","messages":[]}', b"", 400, "invalid_request_error"),
        (b'{"model":"x","messages":[1]}', b"", 404, "not_found_error"),
        (b'{"model":"m","messages":[1],"kv_transfer_params":{}}', b"", 400, "invalid_request_error"),
        (ASKED, b"x-api-key: another\r\n", 401, "authentication_error"),
        (b" " * 40_000, b"", 413, "request_too_large"),
    ],
)
def test_what_the_gateway_refuses_itself_has_anthropics_shape(
    tmp_path: Path, path: str, request_: Any, extra: bytes, status_: int, kind_: str
) -> None:
    async def main() -> None:
        found = config({"b": ["http://127.0.0.1:9"]}, limits={"body": 30_000})
        async with serving(found, tmp_path) as gateway:
            answer = await gateway.raw(post(request_, path=path, extra=extra))
            assert status(answer) == status_
            assert error(answer)["type"] == kind_
            assert json.loads(body(answer))["request_id"].startswith("req_")

    run(main())


@BOTH
def test_a_caller_that_leaves_a_stream_cancels_the_backend(tmp_path: Path, kind: str) -> None:
    sent = STREAM_HEAD + chunk(FRAMES[1] if kind == TRANSLATED else EVENTS[:700])

    async def main() -> None:
        async with (
            Upstream([hangs(sent)]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            gateway.gw.backends["b"].dialect = DIALECTS[kind]
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(post(STREAMED, path=PATH))
            await reader.readuntil(b"message_start")
            writer.close()
            await within(upstream.aborted.wait(), 60)
            await until(lambda: gateway.gw.in_flight == 0, "the request ends")
            assert [(row.outcome, row.code) for row in gateway.records()] == [("cancelled", "cancelled")]

    run(main())


def test_a_fallback_is_asked_in_its_own_way(tmp_path: Path) -> None:
    async def main() -> None:
        async with Upstream([says(unary())]) as upstream:
            models: dict[str, dict[str, Any]] = {
                "m": {"backend": "dead", "fallback": ["other"]},
                "other": {"backend": "alive"},
            }
            found = config({"dead": ["http://127.0.0.1:9"], "alive": [upstream.url]}, models)
            async with serving(found, tmp_path) as gateway:
                gateway.gw.backends["alive"].dialect = DIALECTS[TRANSLATED]
                answer = await gateway.raw(post(ASKED, path=PATH))
                assert json.loads(body(answer))["content"] == [{"type": "text", "text": "hello"}]
                assert upstream.seen[0].head.startswith(b"POST /v1/chat/completions ")

    run(main())


def test_a_fallback_that_cannot_be_asked_leaves_the_failure_of_the_model_that_was(tmp_path: Path) -> None:
    document = {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}}
    asked = {**ASKED, "messages": [{"role": "user", "content": [document]}]}

    async def main() -> None:
        async with Upstream([says(unary(b"{}", status="500 Internal Server Error"))]) as failing:
            models: dict[str, dict[str, Any]] = {
                "m": {"backend": "native", "fallback": ["other"]},
                "other": {"backend": "translated"},
            }
            found = config({"native": [failing.url], "translated": ["http://127.0.0.1:9"]}, models)
            async with serving(found, tmp_path) as gateway:
                gateway.gw.backends["translated"].dialect = DIALECTS[TRANSLATED]
                answer = await gateway.raw(post(asked, path=PATH))
                assert status(answer) == 502
                (record,) = gateway.records()
                assert (record.backend, {attempt.backend for attempt in record.attempts}) == ("native", {"native"})
                refused = await gateway.raw(post({**asked, "model": "other"}, path=PATH))
                assert (status(refused), error(refused)["type"]) == (400, "invalid_request_error")

    run(main())

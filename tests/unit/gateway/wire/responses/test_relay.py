"""What a stream in the Responses API's own format tells the gateway."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.event_relay import EventRelay
from gateway.wire.responses import codec as responses
from gateway.wire.responses import relay as responses_relay
from gateway.wire.usage import Usage
from tests.support.wire_samples import SAMPLES

CALL = responses.parse(b'{"model":"m","input":"hi"}')
COUNTS = {"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 3}}


def event(kind: str, *, type_last: bool = False, **members: Any) -> bytes:
    data = {**members, "type": kind} if type_last else {"type": kind, **members}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


CREATED = event("response.created", response={"id": "r", "error": None, "usage": None})
DELTA = event("response.output_text.delta", delta='the word "response.completed", and "error"')


def relayed(*events: bytes) -> tuple[bytes, EventRelay]:
    relay = responses_relay.of(CALL)
    return relay.feed(b"".join(events)), relay


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
@pytest.mark.parametrize("type_last", [False, True], ids=["type first", "type last, as vLLM writes it"])
def test_the_last_event_states_the_usage_and_waits(kind: str, type_last: bool) -> None:
    last = event(kind, type_last=type_last, response={"id": "r", "usage": COUNTS})
    passed, relay = relayed(CREATED, DELTA, last)
    assert passed == CREATED + DELTA
    assert (relay.usage, relay.failed, relay.complete) == (Usage(6, 3, 4, 0), False, True)
    assert relay.finish() == last


@pytest.mark.parametrize(
    "last",
    [
        event("response.failed", response={"id": "r", "error": {"code": "server_error"}, "usage": None}),
        event("error", code="x", message="y", param=None),
        b'data: {"error":{"message":"engine dead","code":500}}\n\n',
    ],
    ids=["failed", "error", "an error without an event"],
)
def test_a_failure_told_in_band_passes_and_is_noticed(last: bytes) -> None:
    passed, relay = relayed(CREATED, DELTA, last)
    assert passed + relay.finish() == CREATED + DELTA + last
    assert relay.failed


def test_words_in_a_text_end_nothing() -> None:
    passed, relay = relayed(CREATED, DELTA, DELTA)
    assert passed == CREATED + DELTA + DELTA
    assert (relay.usage, relay.failed, relay.complete) == (None, False, False)


@pytest.mark.parametrize(
    "data", [b'"response.completed"', b'{"type":"response.completed","response":5}', b'"error" \xff']
)
def test_what_cannot_be_read_passes(data: bytes) -> None:
    frame = b"data: " + data + b"\n\n"
    passed, relay = relayed(frame)
    assert passed == frame
    assert not relay.complete


@pytest.mark.parametrize("sample", ["responses_stream", "responses_stream_tool"])
def test_a_recorded_stream_passes_byte_for_byte_in_every_cut(sample: str) -> None:
    stream = (SAMPLES / "vllm" / f"{sample}.sse").read_bytes()
    for cut in range(0, len(stream), 7):
        relay = responses_relay.of(CALL)
        passed = relay.feed(stream[:cut]) + relay.feed(stream[cut:])
        assert relay.complete
        assert relay.usage is not None
        assert relay.usage.output_tokens > 0
        assert b"response.completed" not in passed
        assert passed + relay.finish() == stream
        assert not relay.failed

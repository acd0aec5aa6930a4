"""A stream from a backend that speaks Anthropic's format: recorded ones, and broken ones."""

from __future__ import annotations

import itertools

import pytest

from gateway.wire.event_relay import MAX_HELD_BYTES, EventRelay
from gateway.wire.messages import codec as messages
from gateway.wire.messages import relay as messages_relay
from gateway.wire.usage import Usage
from tests.support.wire_samples import SAMPLES

STREAMS = [
    f"{server}/{name}" for server in ("vllm", "llama_cpp") for name in ("messages_stream", "messages_stream_tool")
]
START = (
    b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":9,"output_tokens":1}}}\n\n'
)
SAYS = b'event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"\\"message_stop\\""}}\n\n'
DELTA = b'event: message_delta\ndata: {"type":"message_delta","usage":{"output_tokens":4}}\n\n'
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
ERROR = b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"full"}}\n\n'
CALL = messages.CODEC.parse(
    b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}', b"application/json"
)
WHOLE = START + SAYS + DELTA + STOP


def passed(stream: bytes, cuts: list[int]) -> tuple[bytes, EventRelay]:
    relay = messages_relay.of(CALL)
    edges = [0, *cuts, len(stream)]
    out = b"".join(relay.feed(stream[begin:end]) for begin, end in itertools.pairwise(edges))
    return out + relay.finish(), relay


@pytest.mark.parametrize("sample", STREAMS)
def test_a_recorded_stream_passes_byte_for_byte_in_every_cut(sample: str) -> None:
    stream = (SAMPLES / f"{sample}.sse").read_bytes()
    for at in range(0, len(stream), 7):
        out, relay = passed(stream, [at])
        assert out == stream
        assert not relay.failed
        assert not relay.mid_frame
    _, relay = passed(stream, [])
    assert relay.usage is not None
    assert relay.usage.output_tokens > 0
    assert relay.usage.input_tokens + relay.usage.cached_input_tokens > 0


def test_later_counts_complete_earlier_ones() -> None:
    assert passed(WHOLE, [])[1].usage == Usage(9, 0, 4, 0)
    assert passed(START, [])[1].usage == Usage(9, 0, 1, 0)


def test_the_last_event_is_held_until_the_backend_has_ended() -> None:
    relay = messages_relay.of(CALL)
    assert relay.feed(WHOLE) == START + SAYS + DELTA
    assert relay.complete
    assert relay.finish() == STOP


def test_a_text_that_names_the_last_event_is_not_it() -> None:
    relay = messages_relay.of(CALL)
    named = b'data: {"type":"content_block_start","content_block":{"type":"tool_use","name":"message_stop"}}\n\n'
    assert relay.feed(SAYS + named) == SAYS + named
    assert not relay.complete


def test_what_follows_the_end_is_dropped() -> None:
    relay = messages_relay.of(CALL)
    assert relay.feed(WHOLE + b"data: [DO") + relay.feed(b"NE]\n\n") + relay.finish() == WHOLE


@pytest.mark.parametrize(
    "error", [ERROR, b'data: {"error":{"message":"full"}}\n\n', b'event: error\ndata: {"code":500,"message":"x"}\n\n']
)
def test_an_error_in_band_passes_and_is_seen(error: bytes) -> None:
    out, relay = passed(START + error, [])
    assert out == START + error
    assert relay.failed


@pytest.mark.parametrize("odd", [b'data: "error"\n\n', b'data: {"error"\n\n', b'data: {"usage":"message_stop"}\n\n'])
def test_what_cannot_be_read_passes(odd: bytes) -> None:
    out, relay = passed(odd + STOP, [])
    assert out == odd + STOP
    assert not relay.failed


def test_a_half_event_is_not_shown_before_it_is_whole() -> None:
    relay = messages_relay.of(CALL)
    assert relay.feed(START + b"event: mess") == START
    assert not relay.complete
    assert relay.finish().startswith(b"event: error\n")


def test_an_event_longer_than_anything_read_passes_in_parts() -> None:
    relay = messages_relay.of(CALL)
    long = b'data: {"x":"' + b"y" * MAX_HELD_BYTES
    assert relay.feed(long) == long
    assert relay.mid_frame
    assert relay.feed(b'"}\n\n' + STOP) == b'"}\n\n'
    assert not relay.mid_frame

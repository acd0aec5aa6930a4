"""Anthropic's format and chat completions: any request, any answer, any cut of any stream."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest, StreamBroken, UpstreamProtocol
from gateway.wire.call import Passing
from gateway.wire.event_relay import CUT_SHORT
from gateway.wire.messages import blocks as messages_blocks
from gateway.wire.messages import codec as messages
from gateway.wire.messages import from_chat as chat_to_messages
from gateway.wire.messages import relay as messages_relay
from gateway.wire.messages import stream as messages_stream
from gateway.wire.messages.errors import ANTHROPIC, refusal
from tests.support.anthropic_events import accumulate, check_order

CUT = ANTHROPIC.frame(StreamBroken(CUT_SHORT), None)
CALL = messages.parse(b'{"model":"m","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"hi"}]}')

words = st.text(st.characters(codec="utf-8"), max_size=8)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-5, 5), words),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=5,
)


def mostly(*likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What should stand somewhere, and now and then anything else."""
    return st.one_of(*likely, *likely, anything)


def members(**likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object that has some of these members."""
    return mostly(st.fixed_dictionaries({}, optional=likely))


source = members(
    type=mostly(st.sampled_from(["base64", "url", "file"])), media_type=mostly(words), data=mostly(words), url=words
)
blocks = st.recursive(
    members(type=mostly(st.sampled_from(["text", "image", "tool_use", "thinking"])), text=mostly(words), source=source),
    lambda inner: members(
        type=mostly(st.sampled_from(["tool_result", "tool_use"])),
        tool_use_id=mostly(words),
        id=mostly(words),
        name=mostly(words),
        input=mostly(st.dictionaries(words, anything, max_size=2)),
        content=mostly(words, st.lists(inner, max_size=2)),
        is_error=mostly(st.booleans()),
    ),
    max_leaves=4,
)
turns = members(
    role=mostly(st.sampled_from(["user", "assistant", "system"])), content=mostly(words, st.lists(blocks, max_size=3))
)
requests = members(
    model=mostly(st.just("m")),
    messages=mostly(st.lists(turns, min_size=1, max_size=3)),
    system=mostly(words, st.lists(blocks, max_size=2)),
    stream=mostly(st.booleans()),
    tools=mostly(st.lists(members(name=mostly(words), type=mostly(st.just("custom")), input_schema=anything))),
    tool_choice=members(type=mostly(st.sampled_from(["auto", "tool", "any", "none"])), name=mostly(words)),
    stop_sequences=mostly(st.lists(words, max_size=2)),
    metadata=members(user_id=mostly(words)),
    output_config=members(effort=mostly(words), format=members(type=mostly(words), schema=anything)),
)


@given(requests)
def test_any_request_is_translated_or_refused(request: Any) -> None:
    body = json.dumps(request).encode()
    for codec in (messages.CODEC, messages.COUNT):
        assert codec.translated is not None
        try:
            call = codec.parse(body, b"application/json")
            codec.opening(call)
            asked = json.loads(codec.translated.outgoing(call, "served", b'"served"', {}))
        except InvalidRequest:
            continue
        assert asked["model"] == "served"
        assert all(message["role"] in ("system", "user", "assistant", "tool") for message in asked["messages"])


@given(st.one_of(anything.map(lambda value: json.dumps(value).encode()), st.binary(max_size=40)))
def test_any_answer_is_translated_or_the_backends_failure(body: bytes) -> None:
    for answer in (chat_to_messages.answer, chat_to_messages.count):
        try:
            json.loads(answer(body, CALL))
        except UpstreamProtocol:
            pass
    assert refusal(400, body)


# -- what one turn can say in both formats

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
inputs = st.dictionaries(words, anything, max_size=3)
calls = st.lists(st.tuples(st.uuids().map(str), texts, inputs), max_size=3)


@st.composite
def said(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The blocks of an answer: a text, calls, or both."""
    text = draw(st.one_of(st.none(), texts))
    found: list[dict[str, Any]] = [] if text is None else [{"type": "text", "text": text}]
    return found + [{"type": "tool_use", "id": id_, "name": name, "input": given} for id_, name, given in draw(calls)]


def as_chat(content: list[dict[str, Any]]) -> dict[str, Any]:
    """The blocks as the message of a chat."""
    turn = json.dumps([{"role": "assistant", "content": content}], ensure_ascii=False).encode()
    (message,) = messages_blocks.translate(None, messages_blocks.Raw(turn))
    found: dict[str, Any] = json.loads(msgspec.json.encode(message))
    return found


@given(said(), st.sampled_from(["stop", "length", "content_filter"]))
def test_what_both_formats_can_say_comes_back_the_same(content: list[dict[str, Any]], finish: str) -> None:
    body = {"choices": [{"message": as_chat(content), "finish_reason": finish}]}
    back = json.loads(chat_to_messages.answer(json.dumps(body).encode(), CALL))
    assert back["content"] == content


@given(said(), texts, st.data())
def test_a_streamed_answer_is_the_whole_one(content: list[dict[str, Any]], thought: str, data: st.DataObject) -> None:
    message: dict[str, Any] = {**as_chat(content), "reasoning": thought}
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 2}}
    head: dict[str, Any] = {"id": "c1", "model": "served"}
    whole: dict[str, Any] = {**head, "choices": [{"message": message, "finish_reason": "stop"}], "usage": usage}
    expected = json.loads(chat_to_messages.answer(json.dumps(whole).encode(), CALL))

    def pieces(text: str) -> list[str]:
        return parts(text, data.draw(st.lists(st.integers(0, len(text)), max_size=3)))

    deltas: list[dict[str, Any]] = [{"reasoning": piece} for piece in pieces(thought)]
    deltas += [{"content": piece} for piece in pieces(message["content"] or "")]
    for index, call in enumerate(message.get("tool_calls", ())):
        deltas.append(
            {"tool_calls": [{"index": index, "id": call["id"], "function": {"name": call["function"]["name"]}}]}
        )
        for piece in pieces(call["function"]["arguments"]):
            deltas.append({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    frames = [{**head, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    frames.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    frames.append({**head, "choices": [], "usage": usage})
    sent = b"".join(b"data: " + json.dumps(frame).encode() + b"\n\n" for frame in frames) + b"data: [DONE]\n\n"
    translator = messages_stream.of(CALL)
    out = translator.feed(sent) + translator.finish()
    check_order(out)
    assert accumulate(out) == expected


# -- cuts


def parts(text: Any, places: list[int]) -> list[Any]:
    """A text or bytes cut at these places."""
    at = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[begin:end] for begin, end in itertools.pairwise(at)]


def told(make: Callable[[Any], Passing], chunks: list[bytes]) -> tuple[bytes, bool, bool, Any]:
    passing = make(CALL)
    out = b"".join(passing.feed(chunk) for chunk in chunks)
    complete = passing.complete
    return out + passing.finish(), passing.failed, complete, passing.usage


CHUNKS = [
    b'{"id":"c","model":"s","choices":[{"index":0,"delta":{"role":"assistant"}}]}',
    b'{"choices":[{"index":0,"delta":{"content":"a\\n\\u00e9"}}]}',
    b'{"choices":[{"index":0,"delta":{"reasoning":"b"}}]}',
    b'{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"t","function":{"name":"n"}}]}}]}',
    b'{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}}]}',
    b'{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
    b'{"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2}}',
    b'{"error":{"message":"no"}}',
    b"[DONE]",
    b"not json",
]
EVENTS = [
    b'{"type":"message_start","message":{"usage":{"input_tokens":5,"output_tokens":0}}}',
    b'{"type":"content_block_delta","delta":{"text":"\\"message_stop\\""}}',
    b'{"type":"message_delta","usage":{"output_tokens":2}}',
    b'{"type":"error","error":{"type":"api_error","message":"no"}}',
    b'{"type":"message_stop"}',
    b"message_stop",
]
ENDS = [b"\n\n", b"\n\n", b"\n\n", b"\r\n\r\n", b"\r\r", b"\n", b"\r\n", b""]


def streams(payloads: list[bytes]) -> st.SearchStrategy[bytes]:
    """Frames of these payloads, well and badly ended, with things between them."""
    start = st.sampled_from([b"data: ", b"data: ", b"data:", b"event: x\ndata: ", b": c\n\ndata: "])
    frame = st.tuples(start, st.sampled_from(payloads), st.sampled_from(ENDS)).map(b"".join)
    return st.lists(frame, max_size=8).map(b"".join)


places = st.lists(st.integers(0, 2000), max_size=8)


@given(streams(CHUNKS), places)
def test_events_do_not_depend_on_how_a_chat_stream_was_cut(stream: bytes, at: list[int]) -> None:
    whole = told(messages_stream.of, [stream])
    assert told(messages_stream.of, parts(stream, at)) == whole
    assert told(messages_stream.of, [stream[at : at + 1] for at in range(len(stream))]) == whole
    out, failed, _, _ = whole
    assert (b'"message_stop"' in out) != failed
    assert out.count(b"event: error") == failed


@given(streams(EVENTS), places)
def test_a_native_stream_passes_the_same_in_every_cut(stream: bytes, at: list[int]) -> None:
    whole = told(messages_relay.of, [stream])
    assert told(messages_relay.of, parts(stream, at)) == whole
    assert told(messages_relay.of, [stream[at : at + 1] for at in range(len(stream))]) == whole
    out, failed, _, _ = whole
    assert stream.startswith(out.removesuffix(CUT))
    assert failed or b'{"type":"message_stop"}' in out

"""Responses requests of any content, and chat streams of any order, cut in every way."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest, UpstreamProtocol
from gateway.wire import sse
from gateway.wire.responses import codec as responses
from gateway.wire.responses import request as responses_request
from gateway.wire.responses import stream as responses_stream
from gateway.wire.responses.stream import Translation

words = st.text(st.sampled_from('ab"\\{}[],:\n é'), max_size=6)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 9), words),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "role", "content", "text", "name", "call_id", "output", "arguments", "format"]),
            st.one_of(
                inner, st.sampled_from(["message", "user", "function_call", "function", "input_text", "reasoning"])
            ),
            max_size=4,
        ),
    ),
    max_leaves=12,
)
FIELDS = sorted(
    responses_request.TRANSLATED | responses_request.LEFT_OUT | responses_request.REFUSED | {"stream", "user"}
)


@given(st.dictionaries(st.sampled_from(FIELDS), anything, max_size=6))
def test_whatever_a_request_holds_it_becomes_a_chat_or_is_refused(fields: dict[str, Any]) -> None:
    body = json.dumps({"model": "m", "input": "hi", **fields}).encode()
    try:
        call = responses.parse(body)
        responses.opening(call)
        chat = json.loads(responses_request.outgoing(call, "served", b'"served"', {}))
    except InvalidRequest:
        pass
    else:
        assert chat["model"] == "served"
        assert chat["messages"]


@given(st.binary(max_size=60), st.sampled_from([b"", b'{"model":"m","input":']))
def test_any_bytes_are_read_or_refused(data: bytes, start: bytes) -> None:
    try:
        responses_request.outgoing(responses.parse(start + data), "m", b'"m"', {})
    except InvalidRequest:
        pass


turns = st.lists(
    st.one_of(
        st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "system"]), "content": words}),
        st.fixed_dictionaries(
            {"type": st.just("function_call"), "call_id": st.just("c"), "name": st.just("f"), "arguments": words}
        ),
        st.fixed_dictionaries({"type": st.just("function_call_output"), "call_id": st.just("c"), "output": words}),
    ),
    min_size=1,
    max_size=6,
)


@given(turns)
def test_a_conversation_keeps_its_texts_in_order(said: list[dict[str, Any]]) -> None:
    call = responses.parse(json.dumps({"model": "m", "input": said}).encode())
    messages = json.loads(responses_request.outgoing(call, "m", b'"m"', {}))["messages"]
    told: list[Any] = []
    for message in messages:
        if message["content"] is not None:
            told.append((message["role"], message["content"]))
        told += [("call", part["function"]["arguments"]) for part in message.get("tool_calls", ())]
    meant = [
        (turn["role"], turn["content"])
        if "role" in turn
        else ("call", turn["arguments"])
        if "arguments" in turn
        else ("tool", turn["output"])
        for turn in said
    ]
    assert told == meant


deltas = st.one_of(
    st.fixed_dictionaries({"content": words}),
    st.fixed_dictionaries({"reasoning_content": words}),
    st.fixed_dictionaries({"refusal": words}),
    st.builds(
        lambda index, text: {
            "tool_calls": [{"index": index, "id": f"c{index}", "function": {"name": "f", "arguments": text}}]
        },
        st.integers(0, 2),
        words,
    ),
)
ends = st.sampled_from(["stop", "length", "tool_calls", "content_filter", None])
CALL = responses.parse(b'{"model":"m","input":"hi","stream":true}')


def frame(delta: Any, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"id": "1", "created": 5, "choices": [choice]}).encode() + b"\n\n"


def run(stream: bytes, places: list[int]) -> tuple[bytes, bool]:
    at = sorted({place % (len(stream) + 1) for place in places} | {0, len(stream)})
    translation = Translation(CALL)
    out = [translation.feed(stream[begin:end]) for begin, end in itertools.pairwise(at)]
    return b"".join(out) + translation.finish(), translation.failed


@given(st.lists(deltas, max_size=8), ends, st.booleans(), st.lists(st.integers(0, 3000), max_size=8))
def test_a_stream_loses_nothing_and_does_not_depend_on_the_cut(
    said: list[dict[str, Any]], end: str | None, done: bool, places: list[int]
) -> None:
    stream = b"".join(map(frame, said)) + frame({}, end) + (b"data: [DONE]\n\n" if done else b"")
    whole, failed = run(stream, [])
    assert run(stream, places) == (whole, failed)
    events = [json.loads(sse.data(each) or b"") for each in sse.frames(whole)]
    assert failed == (end is None)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert (events[-1]["type"] == "error") == failed
    for name, kind in (("content", "output_text"), ("reasoning_content", "reasoning_text"), ("refusal", "refusal")):
        told = [event["delta"] for event in events if event["type"] == f"response.{kind}.delta"]
        assert "".join(told) == "".join(delta.get(name, "") for delta in said)
    if failed:
        return
    output = events[-1]["response"]["output"]
    assert [item["id"] for item in output] == [e["item"]["id"] for e in events if e["type"].endswith("item.added")]
    done_items = {e["output_index"]: e["item"] for e in events if e["type"].endswith("item.done")}
    assert [done_items[index] for index in range(len(output))] == output
    for index in range(3):
        parts = [part for delta in said for part in delta.get("tool_calls", ()) if part["index"] == index]
        found = [item["arguments"] for item in output if item.get("call_id") == f"c{index}"]
        assert found == (["".join(part["function"]["arguments"] for part in parts)] if parts else [])


@given(st.lists(deltas, max_size=3), st.integers(0, 2000))
def test_a_stream_cut_anywhere_never_ends_as_if_it_were_whole(said: list[dict[str, Any]], at: int) -> None:
    stream = b"".join(map(frame, said)) + frame({}, "stop")
    cut = at % (len(stream) - len(frame({}, "stop")) + 1)
    out, failed = run(stream[:cut], [])
    assert failed
    assert b"response.completed" not in out


@given(anything)
def test_any_answer_is_a_response_or_the_backends_fault(value: Any) -> None:
    for body in ({"choices": [{"message": value}]}, {"choices": value}, value):
        try:
            made = responses_stream.answer(msgspec.json.encode(body), CALL)
        except UpstreamProtocol:
            continue
        assert json.loads(made)["object"] == "response"

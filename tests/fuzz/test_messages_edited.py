"""A message under a real chain: what is delivered does not depend on how its stream was cut, nor on when checks
answered, and is what is delivered of the whole message.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire import sse
from gateway.wire.messages.answer_texts import MessageTexts
from gateway.wire.messages.editor import MessagesEditor
from tests.support.anthropic_events import accumulate, check_order
from tests.support.screened import ADDRESS, BAD, STOP, Screens, judged
from tests.support.texts import SAID, cut

USAGE = {"input_tokens": 5, "output_tokens": 7}
HEAD = {"id": "m", "type": "message", "role": "assistant", "model": "a", "stop_sequence": None}

texts = SAID
arguments = SAID.map(lambda text: text.replace(BAD, ""))  # documents are not under the classifier
documents = st.dictionaries(
    st.sampled_from("abc"), st.one_of(arguments, st.integers(0, 9), st.lists(arguments, max_size=2))
)
blocks = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, texts),
    st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "signed"}, texts),
    st.builds(lambda given: {"type": "tool_use", "id": "t", "name": "look", "input": given}, documents),
    st.builds(lambda found: {"type": "tool_result", "content": found}, documents),
    st.just({"type": "redacted_thinking", "data": "sealed"}),
)
contents = st.lists(blocks, max_size=4)


def streamed(content: list[dict[str, Any]], sizes: list[int]) -> bytes:
    """The stream that tells these blocks, in pieces of these sizes."""
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**HEAD, "content": [], "stop_reason": None, "usage": USAGE}}
    ]
    for index, block in enumerate(content):
        growing = {"text": "text", "thinking": "thinking", "tool_use": "input"}.get(block["type"])
        if growing is None:
            start, deltas = block, []
        else:
            start = block | {growing: {} if growing == "input" else ""}
            text = json.dumps(block["input"]) if growing == "input" else block[growing]
            member = "partial_json" if growing == "input" else growing
            kind = "input_json_delta" if growing == "input" else f"{growing}_delta"
            deltas = [{"type": kind, member: piece} for piece in cut(text, sizes)]
        if "signature" in block:
            start = start | {"signature": ""}
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": "end_turn", "stop_sequence": None}
    events += [{"type": "message_delta", "delta": ending, "usage": USAGE}, {"type": "message_stop"}]
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def edited(pieces: list[bytes], patience: int = 1) -> bytes:
    """What is delivered of a stream; checks answer every `patience` pieces."""
    screens = Screens()
    return screens.run(MessagesEditor(screens.open), pieces, patience)


def whole(content: list[dict[str, Any]]) -> Any:
    message = {**HEAD, "content": content, "stop_reason": "end_turn", "usage": USAGE}
    answer = MessageTexts(json.dumps(message).encode())
    return json.loads(answer.said(judged(answer.parts)))


def told(stream: bytes) -> Any:
    """The message a stream tells, without a call that was begun and then blocked: a whole answer does not have it."""
    check_order(stream)
    arguments: dict[int, str] = {}
    for event in map(json.loads, sse.payloads(stream)):
        if event.get("content_block", {}).get("type") == "tool_use":
            arguments[event["index"]] = ""
        elif "partial_json" in event.get("delta", {}):
            arguments[event["index"]] += event["delta"]["partial_json"]
    cut_off = [index for index, text in arguments.items() if text and not text.endswith("}")]
    kept = [frame for frame in sse.frames(stream) if json.loads(sse.data(frame) or b"").get("index") not in cut_off]
    return accumulate(b"".join(kept))


def spoken(stream: bytes) -> str:
    """All texts of a stream that came in pieces, each ended by a NUL."""
    said = []
    for event in map(json.loads, sse.payloads(stream)):
        delta = event.get("delta", {})
        said += [delta.get(name, "") for name in ("text", "thinking", "partial_json")]
        said += ["\0"] if event["type"] == "content_block_stop" else []
    return "".join(said)


@given(contents, st.lists(st.integers(1, 9), min_size=1), st.lists(st.integers(1, 90), min_size=1))
@settings(deadline=None)
def test_a_stream_says_what_the_whole_message_says_however_it_is_cut(
    content: list[dict[str, Any]], sizes: list[int], cuts: list[int]
) -> None:
    stream = streamed(content, sizes)
    out = edited([stream])
    assert told(out) == whole(content)
    assert told(edited(cut(stream, cuts))) == told(out)
    assert spoken(edited(cut(stream, cuts))) == spoken(out)
    for found in (ADDRESS, STOP, BAD):
        assert found not in spoken(out)


@given(contents, st.lists(st.integers(1, 9), min_size=1), st.integers(1, 9))
@settings(deadline=None)
def test_when_checks_answer_changes_nothing(content: list[dict[str, Any]], sizes: list[int], patience: int) -> None:
    stream = streamed(content, sizes)
    late = edited(cut(stream, [97]), patience)
    assert told(late) == whole(content)
    assert BAD not in spoken(late)


@given(contents, st.lists(st.integers(1, 9), min_size=1), st.integers(0, 3000))
@settings(deadline=None)
def test_a_stream_that_breaks_off_delivers_nothing_that_was_found(
    content: list[dict[str, Any]], sizes: list[int], at: int
) -> None:
    stream = streamed(content, sizes)
    out = edited([stream[: at % len(stream)]])
    for found in (ADDRESS, STOP, BAD):
        assert found not in spoken(out)

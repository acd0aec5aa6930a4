"""A streamed message with other words, as its events are read by the official SDK."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from pydantic import TypeAdapter

from gateway.wire import sse
from gateway.wire.edits import OUTPUT, TOOL_CALL, Channel
from gateway.wire.messages.editor import MessagesEditor
from tests.support.anthropic_events import check_order
from tests.support.outlets import ScriptedOutlet
from tests.support.screened import Screens
from tests.support.wire_samples import SAMPLES

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
HEAD: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "a",
    "content": [],
    "stop_reason": None,
}
START: dict[str, Any] = {"type": "message_start", "message": {**HEAD, "usage": {"input_tokens": 5, "output_tokens": 1}}}
DELTA = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 9},
}
STOP = {"type": "message_stop"}
TEXT = {"type": "text", "text": ""}
THINKING = {"type": "thinking", "thinking": "", "signature": ""}
CALL = {"type": "tool_use", "id": "t1", "name": "look", "input": {}}


def sent(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def begin(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def grow(index: int, kind: str, member: str, text: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, member: text}}


def text(index: int, said: str) -> dict[str, Any]:
    return grow(index, "text_delta", "text", said)


def think(index: int, said: str) -> dict[str, Any]:
    return grow(index, "thinking_delta", "thinking", said)


def sign(index: int, said: str) -> dict[str, Any]:
    return grow(index, "signature_delta", "signature", said)


def argue(index: int, said: str) -> dict[str, Any]:
    return grow(index, "input_json_delta", "partial_json", said)


def end(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


class Opened:
    """Makes outlets, and remembers for which channels."""

    def __init__(self, outlet: Callable[[Channel], ScriptedOutlet] = lambda _: ScriptedOutlet()) -> None:
        self._outlet = outlet
        self.channels: list[Channel] = []
        self.outlets: list[ScriptedOutlet] = []

    def __call__(self, channel: Channel) -> ScriptedOutlet:
        self.channels.append(channel)
        self.outlets.append(self._outlet(channel))
        return self.outlets[-1]


def edited(*events: dict[str, Any], opened: Opened | None = None) -> bytes:
    editor = MessagesEditor(opened or Opened())
    return editor.feed(sent(*events)) + editor.finish()


def message(stream: bytes) -> Any:
    """The message that the official SDK makes of a stream."""
    check_order(stream)
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for payload in sse.payloads(stream):
        event = EVENT.validate_json(payload)
        if event.type != "message_stop":
            snapshot = accumulate_event(event=event, current_snapshot=snapshot, json_bufs=buffers)
    return snapshot


def kinds(stream: bytes) -> list[str]:
    return [json.loads(payload)["type"] for payload in sse.payloads(stream)]


def test_texts_of_every_kind_go_through_outlets_of_their_own() -> None:
    opened = Opened()
    told = message(
        edited(
            START,
            begin(0, THINKING),
            think(0, "H|m|"),
            end(0),
            begin(1, {**TEXT, "text": "He"}),
            text(1, "llo| you|"),
            end(1),
            begin(2, CALL),
            argue(2, '{"a":|'),
            argue(2, " 1}"),
            end(2),
            begin(3, {**CALL, "id": "t2", "input": {"b": 2}}),
            end(3),
            DELTA,
            STOP,
            opened=opened,
        )
    )
    assert [(block.type, *_words(block)) for block in told.content] == [
        ("thinking", "Hm"),
        ("text", "Hello you"),
        ("tool_use", {"a": 1}),
        ("tool_use", {"b": 2}),
    ]
    assert [(at.kind, at.phase, at.number, at.is_json, at.tool) for at in opened.channels] == [
        ("reasoning", OUTPUT, 0, False, ""),
        ("content", OUTPUT, 0, False, ""),
        ("arguments", TOOL_CALL, 0, True, "look"),
        ("arguments", TOOL_CALL, 1, True, "look"),
    ]
    assert (told.stop_reason, told.usage.input_tokens, told.usage.output_tokens) == ("end_turn", 5, 9)


def _words(block: Any) -> list[Any]:
    return [getattr(block, name) for name in ("thinking", "text", "input") if hasattr(block, name)]


def test_a_block_is_told_when_something_of_it_may_be_delivered_or_at_its_end() -> None:
    editor = MessagesEditor(Opened())
    assert kinds(editor.feed(sent(START, begin(0, CALL)))) == ["message_start"]
    assert editor.feed(sent(argue(0, '{"a":'))) == b""
    assert kinds(editor.feed(sent(argue(0, "|")))) == ["content_block_start", "content_block_delta"]
    assert kinds(editor.feed(sent(argue(0, "1}"), end(0)))) == ["content_block_delta", "content_block_stop"]
    assert kinds(editor.feed(sent(begin(1, TEXT)))) == []
    assert kinds(editor.feed(sent(end(1)))) == ["content_block_start", "content_block_stop"]


def test_what_is_behind_a_block_that_waits_waits_too() -> None:
    opened = Opened(lambda channel: ScriptedOutlet(waits=channel.number == 0))
    editor = MessagesEditor(opened)
    stream = editor.feed(sent(START, begin(0, TEXT), text(0, "a|b"), end(0), begin(1, TEXT), text(1, "c"), end(1)))
    assert kinds(stream) == ["message_start", "content_block_start", "content_block_delta"]
    assert editor.waits
    assert editor.feed(sent(DELTA, STOP)) + editor.more() + editor.finish() == b""
    opened.outlets[0].answer()
    stream += editor.more()
    assert [block.text for block in message(stream).content] == ["ab", "c"]
    assert not editor.waits


def test_what_an_answer_sets_free_of_an_open_block_is_told_at_once() -> None:
    opened = Opened()
    editor = MessagesEditor(opened)
    editor.feed(sent(START, begin(0, TEXT), text(0, "held")))
    opened.outlets[0].answer()
    assert [json.loads(payload).get("delta") for payload in sse.payloads(editor.more())] == [
        None,
        {"type": "text_delta", "text": "held"},
    ]


BLOCKED = [
    START,
    begin(0, TEXT),
    text(0, "so| far!, not"),
    text(0, " this"),
    end(0),
    begin(1, CALL),
    argue(1, '{"a":1}'),
    end(1),
]


def test_a_block_ends_the_message_as_a_refusal_with_the_backends_counts() -> None:
    editor = MessagesEditor(Opened())
    stream = editor.feed(sent(*BLOCKED))
    assert editor.blocked
    stream += editor.feed(sent(DELTA, STOP)) + editor.finish()
    told = message(stream)
    assert [block.text for block in told.content] == ["so far"]
    assert (told.stop_reason, told.stop_sequence, told.usage.output_tokens) == ("refusal", None, 9)


def test_a_blocked_message_whose_end_nobody_waits_for_is_ended_here() -> None:
    stream = edited(*BLOCKED)
    told = message(stream)
    assert kinds(stream)[-2:] == ["message_delta", "message_stop"]
    assert (told.stop_reason, told.usage.input_tokens, told.usage.output_tokens) == ("refusal", 5, 1)


def test_a_tool_that_may_not_be_called_is_never_told() -> None:
    opened = Opened(lambda channel: ScriptedOutlet(blocked=channel.tool == "look"))
    stream = edited(START, begin(0, TEXT), text(0, "a"), end(0), begin(1, CALL), end(1), DELTA, STOP, opened=opened)
    told = message(stream)
    assert [block.type for block in told.content] == ["text"]
    assert told.stop_reason == "refusal"


def test_a_block_that_an_answer_blocks_ends_there() -> None:
    opened = Opened(lambda _: ScriptedOutlet(waits=True))
    editor = MessagesEditor(opened)
    stream = editor.feed(sent(START, begin(0, TEXT), text(0, "a|b"), end(0), begin(1, TEXT), DELTA, STOP))
    opened.outlets[0].answer(block=True)
    stream += editor.more() + editor.finish()
    told = message(stream)
    assert [block.text for block in told.content] == ["a"]
    assert told.stop_reason == "refusal"
    assert editor.blocked


@pytest.mark.parametrize(("said", "signature"), [("Hm", "abc"), ("Hm|", "")])
def test_a_signature_passes_only_with_the_thinking_it_signs(said: str, signature: str) -> None:
    told = message(edited(START, begin(0, THINKING), think(0, said), sign(0, "abc"), end(0), DELTA, STOP))
    assert (told.content[0].thinking, told.content[0].signature) == ("Hm", signature)


def test_a_citation_is_left_out() -> None:
    citation = {"type": "citations_delta", "citation": {"type": "char_location", "cited_text": "secret"}}
    events = [
        START,
        begin(0, {**TEXT, "citations": []}),
        {"type": "content_block_delta", "index": 0, "delta": citation},
    ]
    stream = edited(*events, text(0, "a"), end(0), DELTA, STOP)
    assert b"secret" not in stream
    assert b"citation" not in stream


def test_sealed_thinking_passes_and_a_tools_result_is_judged_as_a_document() -> None:
    found = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "x", "title": "a|b"}]}
    opened = Opened()
    stream = edited(
        START,
        begin(0, {"type": "redacted_thinking", "data": "x!y"}),
        end(0),
        begin(1, found),
        end(1),
        DELTA,
        STOP,
        opened=opened,
    )
    assert [at.is_json for at in opened.channels] == [True]
    blocks = [event["content_block"] for event in map(json.loads, sse.payloads(stream)) if "content_block" in event]
    assert blocks == [
        {"type": "redacted_thinking", "data": "x!y"},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "x", "title": "ab"}]},
    ]
    check_order(stream)


def test_a_tools_result_that_was_blocked_is_not_told() -> None:
    stream = edited(START, begin(0, {"type": "new", "content": "a!b"}), end(0), DELTA, STOP)
    told = message(stream)
    assert told.content == []
    assert told.stop_reason == "refusal"


def test_what_has_no_known_place_for_text_is_left_out() -> None:
    stream = edited(
        {**START, "message": {**HEAD, "content": [{"type": "text", "text": "secret"}], "usage": {}}},
        {"type": "content_block_news", "text": "secret"},
        begin(0, TEXT),
        grow(0, "compaction_delta", "content", "secret"),
        end(0),
        DELTA,
        STOP,
    )
    assert b"secret" not in stream


def test_comments_and_pings_pass_without_their_words() -> None:
    editor = MessagesEditor(Opened())
    assert editor.feed(b": secret\n\n" + sent({"type": "ping", "note": "secret"})) == (
        b':\n\nevent: ping\ndata: {"type":"ping"}\n\n'
    )


def test_an_error_of_the_backend_ends_the_stream_behind_what_is_judged() -> None:
    error = {"type": "error", "error": {"type": "api_error", "message": "no"}}
    stream = edited(START, begin(0, TEXT), text(0, "a|b"), error, DELTA, STOP)
    assert kinds(stream) == ["message_start", "content_block_start", *["content_block_delta"] * 2, "error"]


@pytest.mark.parametrize(
    "frame",
    [
        b"data: no JSON\n\n",
        b"data: []\n\n",
        b'data: {"type":"message_start"}\n\n',
        sent(text(3, "secret")),
        sent(begin(0, TEXT), {"type": "content_block_delta", "index": 0}),
        sent(begin(0, TEXT), {**text(0, ""), "delta": {"type": "text_delta", "text": ["secret"]}}),
        sent(begin(0, {**TEXT, "text": 5})),
    ],
)
def test_what_cannot_be_read_is_an_error_in_band_and_nothing_passes_behind_it(frame: bytes) -> None:
    editor = MessagesEditor(Opened())
    stream = editor.feed(sent(START) + frame + sent(DELTA, STOP)) + editor.finish()
    assert kinds(stream) == ["message_start", "error"]
    assert b"secret" not in stream
    assert editor.failed


def test_a_stream_that_breaks_off_gives_what_is_judged_and_no_end() -> None:
    stream = edited(START, begin(0, TEXT), text(0, "a|b"))
    assert kinds(stream) == ["message_start", "content_block_start", "content_block_delta", "content_block_delta"]


def test_a_block_without_an_end_is_ended_by_what_follows() -> None:
    told = message(edited(START, begin(0, TEXT), text(0, "a"), begin(1, TEXT), text(1, "b"), DELTA, STOP))
    assert [block.text for block in told.content] == ["a", "b"]


@pytest.mark.parametrize(
    "name", ["vllm/messages_stream", "vllm/messages_stream_tool", "llama_cpp/messages_stream_tool"]
)
def test_what_real_servers_send_comes_back_the_same(name: str) -> None:
    stream = (SAMPLES / f"{name}.sse").read_bytes()
    screens = Screens()
    out = screens.run(MessagesEditor(screens.open), (stream[at : at + 1] for at in range(len(stream))))

    def said(whole: bytes) -> list[Any]:
        events = list(map(json.loads, sse.payloads(whole)))
        texts = [event["delta"] for event in events if event["type"] == "content_block_delta"]
        joined = "".join(delta.get("text", "") + delta.get("partial_json", "") for delta in texts)
        return [joined, [event for event in events if event["type"] != "content_block_delta"]]

    assert said(out) == said(stream)

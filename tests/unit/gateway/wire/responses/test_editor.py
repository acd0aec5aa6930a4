"""A streamed Response with other words, as its events are read by the official SDK."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gateway.wire.edits import OUTPUT, TOOL_CALL, Channel
from gateway.wire.responses.editor import ResponsesEditor
from tests.support.outlets import ScriptedOutlet
from tests.support.responses_events import accumulate, events_of
from tests.support.screened import Screens
from tests.support.wire_samples import SAMPLES

HEAD: dict[str, Any] = {"id": "r", "object": "response", "created_at": 5, "model": "m", "output": []}
CREATED: dict[str, Any] = {"type": "response.created", "response": {**HEAD, "status": "in_progress", "usage": None}}
USAGE = {"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}
COMPLETED: dict[str, Any] = {"type": "response.completed", "response": {**HEAD, "status": "completed", "usage": USAGE}}
MESSAGE = {"id": "ms", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
CALL = {"id": "fc", "type": "function_call", "call_id": "c", "name": "look", "arguments": "", "status": "in_progress"}


def sent(*events: dict[str, Any]) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)


def added(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(index: int, item: dict[str, Any]) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": {**item, "status": "completed"}}


def piece(index: int, text: str, event: str = "output_text", **at: int) -> dict[str, Any]:
    at = at or ({"content_index": 0} if event == "output_text" else {})
    return {"type": f"response.{event}.delta", "output_index": index, **at, "delta": text, "logprobs": [{"token": "t"}]}


def whole(index: int, text: str, event: str = "output_text", member: str = "text", **at: int) -> dict[str, Any]:
    at = at or ({"content_index": 0} if event == "output_text" else {})
    return {"type": f"response.{event}.done", "output_index": index, **at, member: text}


def said(text: str) -> dict[str, Any]:
    return {**MESSAGE, "content": [{"type": "output_text", "text": text}]}


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
    editor = ResponsesEditor(opened or Opened())
    return editor.feed(sent(*events)) + editor.finish()


def kinds(stream: bytes) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events_of(stream)]


def words(item: dict[str, Any]) -> Any:
    """The texts of an item."""
    parts = [*item.get("summary", ()), *item.get("content", ())]
    return [part.get("text", part.get("refusal")) for part in parts] or item.get("arguments", item.get("input"))


def test_texts_of_every_kind_go_through_outlets_of_their_own() -> None:
    opened = Opened()
    thought = {"id": "rs", "type": "reasoning", "summary": [], "content": []}
    stream = edited(
        CREATED,
        added(0, thought),
        piece(0, "a|A", "reasoning_summary_text", summary_index=0),
        piece(0, "b|B", "reasoning_text", content_index=0),
        done(0, thought),
        added(1, MESSAGE),
        piece(1, "c|"),
        piece(1, "C"),
        piece(1, "d|D", "refusal", content_index=1),
        done(1, MESSAGE),
        added(2, CALL),
        piece(2, "{|}", "function_call_arguments"),
        done(2, {**CALL, "arguments": "{|}"}),
        added(3, {"id": "ct", "type": "custom_tool_call", "call_id": "d", "name": "go", "input": ""}),
        piece(3, "e|E", "custom_tool_call_input"),
        COMPLETED,
        opened=opened,
    )
    last = accumulate(stream)
    assert [words(item) for item in last["output"]] == [["aA", "bB"], ["cC", "dD"], "{}", "eE"]
    assert (last["status"], last["usage"]) == ("completed", USAGE)
    assert [(at.kind, at.phase, at.number, at.is_json, at.tool) for at in opened.channels] == [
        ("reasoning", OUTPUT, 0, False, ""),
        ("reasoning", OUTPUT, 1, False, ""),
        ("content", OUTPUT, 0, False, ""),
        ("refusal", OUTPUT, 0, False, ""),
        ("arguments", TOOL_CALL, 0, True, "look"),
        ("arguments", TOOL_CALL, 1, False, "go"),
    ]


def test_what_last_events_repeat_is_what_was_delivered() -> None:
    final = {**COMPLETED, "response": {**COMPLETED["response"], "output": [said("secret|")], "output_text": "secret|"}}
    part_done = {"type": "response.content_part.done", "output_index": 0, "content_index": 0}
    stream = edited(
        CREATED,
        added(0, MESSAGE),
        piece(0, "sec|"),
        piece(0, "ret|"),
        whole(0, "sec|ret|"),
        {**part_done, "part": {"type": "output_text", "text": "sec|ret|"}},
        done(0, said("sec|ret|")),
        final,
    )
    last = accumulate(stream)
    assert b"|" not in stream
    assert last["output_text"] == "secret"
    assert b'"token"' not in stream


@pytest.mark.parametrize("last", [whole(0, "held"), done(0, said("held"))])
def test_text_that_only_a_last_event_says_goes_through_the_outlet(last: dict[str, Any]) -> None:
    opened = Opened()
    stream = edited(CREATED, added(0, MESSAGE), piece(0, "he"), last, COMPLETED, opened=opened)
    assert [outlet.fed for outlet in opened.outlets] == ["held"]
    assert [words(item) for item in accumulate(stream)["output"]] == [["held"]]


def test_a_text_whose_ends_are_numbered_in_another_way_is_said_once() -> None:
    events = [added(0, MESSAGE), piece(0, "a", content_index=1), whole(0, "a"), done(0, said("a"))]
    assert [words(item) for item in accumulate(edited(CREATED, *events, COMPLETED))["output"]] == [["a"]]


def test_an_item_is_told_when_something_of_it_may_be_delivered_or_at_its_end() -> None:
    editor = ResponsesEditor(Opened())
    assert kinds(editor.feed(sent(CREATED, added(0, CALL), piece(0, "{", "function_call_arguments")))) == ["created"]
    assert kinds(editor.feed(sent(piece(0, "|", "function_call_arguments")))) == [
        "output_item.added",
        "function_call_arguments.delta",
    ]
    editor.feed(sent(done(0, {**CALL, "arguments": "{|}"})))
    assert kinds(editor.feed(sent(added(1, MESSAGE)))) == []
    assert kinds(editor.feed(sent(done(1, MESSAGE)))) == ["output_item.added", "output_item.done"]


def test_what_is_behind_a_text_that_waits_waits_too() -> None:
    opened = Opened(lambda channel: ScriptedOutlet(waits=channel.number == 0))
    editor = ResponsesEditor(opened)
    stream = editor.feed(sent(CREATED, added(0, MESSAGE), piece(0, "a|b"), done(0, MESSAGE), added(1, MESSAGE)))
    assert kinds(stream)[-1] == "output_text.delta"
    assert editor.waits
    assert editor.feed(sent(piece(1, "c"), done(1, {**MESSAGE, "id": "m2"}), COMPLETED)) + editor.more() == b""
    opened.outlets[0].answer()
    stream += editor.more() + editor.finish()
    assert [words(event["response"]["output"][0]) for event in events_of(stream)[-1:]] == [["ab"]]
    assert not editor.waits


def test_what_an_answer_sets_free_of_an_open_text_is_told_at_once() -> None:
    opened = Opened()
    editor = ResponsesEditor(opened)
    editor.feed(sent(CREATED, added(0, MESSAGE), piece(0, "held")))
    opened.outlets[0].answer()
    assert events_of(editor.more())[-1]["delta"] == "held"


def test_items_that_grow_at_once_are_told_one_after_another() -> None:
    second = {**CALL, "id": "f2", "call_id": "c2"}
    events = [added(0, CALL), added(1, second), piece(1, "{}", "function_call_arguments")]
    events += [piece(0, "[]", "function_call_arguments"), done(1, second), done(0, CALL)]
    assert [words(item) for item in accumulate(edited(CREATED, *events, COMPLETED))["output"]] == ["[]", "{}"]


BLOCKED = [
    CREATED,
    added(0, MESSAGE),
    piece(0, "so| far!, not"),
    piece(0, " this"),
    done(0, said("so| far!, not this")),
    added(1, CALL),
    done(1, CALL),
]


def test_a_block_ends_the_response_by_a_content_filter_with_the_backends_usage() -> None:
    editor = ResponsesEditor(Opened())
    stream = editor.feed(sent(*BLOCKED))
    assert editor.blocked
    assert kinds(stream)[-3:] == ["output_text.done", "content_part.done", "output_item.done"]
    stream += editor.feed(sent(COMPLETED)) + editor.finish()
    last = accumulate(stream)
    assert kinds(stream)[-1] == "incomplete"
    assert [(words(item), item["status"]) for item in last["output"]] == [(["so far"], "incomplete")]
    assert (last["status"], last["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    assert last["usage"] == USAGE


def test_a_blocked_response_whose_end_nobody_waits_for_is_ended_here() -> None:
    stream = edited(*BLOCKED)
    assert kinds(stream)[-1] == "incomplete"
    assert accumulate(stream)["incomplete_details"] == {"reason": "content_filter"}


def test_a_tool_that_may_not_be_called_is_never_told() -> None:
    opened = Opened(lambda channel: ScriptedOutlet(blocked=channel.tool == "look"))
    stream = edited(CREATED, added(0, CALL), piece(0, "{}", "function_call_arguments"), COMPLETED, opened=opened)
    assert accumulate(stream)["output"] == []
    assert kinds(stream) == ["created", "incomplete"]


def test_a_call_that_was_begun_and_blocked_is_incomplete() -> None:
    last = accumulate(edited(CREATED, added(0, CALL), piece(0, "{|!", "function_call_arguments"), COMPLETED))
    assert [(item["arguments"], item["status"]) for item in last["output"]] == [("{", "incomplete")]


def test_a_text_that_an_answer_blocks_ends_there() -> None:
    opened = Opened(lambda _: ScriptedOutlet(waits=True))
    editor = ResponsesEditor(opened)
    stream = editor.feed(sent(CREATED, added(0, MESSAGE), piece(0, "a|b"), done(0, MESSAGE), COMPLETED))
    opened.outlets[0].answer(block=True)
    stream += editor.more() + editor.finish()
    assert [words(item) for item in accumulate(stream)["output"]] == [["a"]]
    assert editor.blocked


def test_a_failure_behind_a_block_is_told_with_what_was_delivered() -> None:
    failed = {"type": "response.failed", "response": {**HEAD, "status": "failed", "output": [said("secret")]}}
    stream = edited(*BLOCKED, failed)
    assert kinds(stream)[-1] == "failed"
    assert [words(item) for item in accumulate(stream)["output"]] == [["so far"]]


SEARCH = {"id": "ws", "type": "web_search_call", "status": "completed", "action": {"query": "a|b"}}


def test_an_item_of_another_type_is_judged_as_a_document_and_told_at_its_end() -> None:
    opened = Opened()
    searching = {"type": "response.web_search_call.searching", "output_index": 0, "note": "secret"}
    stream = edited(CREATED, added(0, {**SEARCH, "action": None}), searching, done(0, SEARCH), COMPLETED, opened=opened)
    assert accumulate(stream)["output"] == [{**SEARCH, "action": {"query": "ab"}}]
    assert [at.is_json for at in opened.channels] == [True]
    assert b"secret" not in stream


@pytest.mark.parametrize("waits", [False, True])
def test_an_item_of_another_type_that_was_blocked_is_not_told(waits: bool) -> None:
    opened = Opened(lambda _: ScriptedOutlet(waits=waits))
    found = SEARCH if waits else {**SEARCH, "action": "a!"}
    editor = ResponsesEditor(opened)
    stream = editor.feed(sent(CREATED, added(0, SEARCH), done(0, found), COMPLETED))
    opened.outlets[0].answer(block=True)
    stream += editor.more() + editor.finish()
    assert kinds(stream) == ["created", "incomplete"]
    assert accumulate(stream)["output"] == []


def test_what_has_no_known_place_for_text_is_left_out() -> None:
    part = {"type": "output_audio", "transcript": "secret"}
    stream = edited(
        {**CREATED, "response": {**CREATED["response"], "output": [said("secret")], "input_messages": ["secret"]}},
        {"type": "response.news.delta", "output_index": 0, "delta": "secret"},
        added(0, {**MESSAGE, "note": "secret", "content": [part]}),
        {"type": "response.content_part.added", "output_index": 0, "content_index": 0, "part": part},
        {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": {"title": "secret"}},
        done(0, {**MESSAGE, "content": [part]}),
        COMPLETED,
    )
    assert b"secret" not in stream
    assert kinds(stream) == ["created", "output_item.added", "output_item.done", "completed"]


def test_comments_pass_without_their_words() -> None:
    assert ResponsesEditor(Opened()).feed(b": secret\n\ndata: [DONE]\n\n") == b":\n\n"


@pytest.mark.parametrize("error", [{"type": "error", "message": "no"}, {"error": {"message": "no"}}])
def test_an_error_of_the_backend_ends_the_stream_behind_what_is_judged(error: dict[str, Any]) -> None:
    events = events_of(edited(CREATED, added(0, MESSAGE), piece(0, "a|b"), error, COMPLETED))
    assert [event.get("delta") for event in events[-3:-1]] == ["a", "b"]
    assert events[-1].items() >= error.items()


@pytest.mark.parametrize(
    "frame",
    [
        b"data: no JSON\n\n",
        b"data: []\n\n",
        sent(piece(0, "secret")),
        sent(added(0, MESSAGE), piece(0, "secret", "function_call_arguments")),
        sent(added(0, MESSAGE), {**piece(0, ""), "delta": ["secret"]}),
        sent({"type": "response.output_item.added", "output_index": 0}),
        sent(added(0, MESSAGE), done(0, {**MESSAGE, "content": "secret"})),
    ],
)
def test_what_cannot_be_read_is_an_error_in_band_and_nothing_passes_behind_it(frame: bytes) -> None:
    editor = ResponsesEditor(Opened())
    stream = editor.feed(sent(CREATED) + frame + sent(COMPLETED)) + editor.finish()
    assert kinds(stream) == ["created", "error"]
    assert b"secret" not in stream
    assert editor.failed


def test_text_behind_the_end_of_its_text_is_an_error() -> None:
    stream = edited(CREATED, added(0, MESSAGE), piece(0, "a"), whole(0, "a"), piece(0, "b"), COMPLETED)
    assert kinds(stream)[-1] == "error"


def test_a_stream_that_breaks_off_gives_what_is_judged_and_no_end() -> None:
    stream = edited(CREATED, added(0, MESSAGE), piece(0, "a|b"))
    assert kinds(stream)[-2:] == ["output_text.delta", "output_text.delta"]


@pytest.mark.parametrize("name", ["vllm/responses_stream", "vllm/responses_stream_tool"])
def test_what_real_servers_send_keeps_its_words(name: str) -> None:
    stream = (SAMPLES / f"{name}.sse").read_bytes()
    screens = Screens()
    out = screens.run(ResponsesEditor(screens.open), (stream[at : at + 1] for at in range(len(stream))))
    last = accumulate(out)
    before = events_of(stream)[-1]["response"]
    assert [words(item) for item in last["output"]] == [words(item) for item in before["output"]]
    assert {name: value for name, value in last.items() if name != "output"} == {
        name: value for name, value in before.items() if name != "output"
    }

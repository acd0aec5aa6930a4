"""Events of a Response, each with its number and what was delivered."""

from __future__ import annotations

from typing import Any

from gateway.wire.editing import Speaking
from gateway.wire.edits import Channel
from gateway.wire.responses.telling import Item, Telling, Text
from gateway.wire.responses.texts import CALLS, PARTS
from tests.support.outlets import ScriptedOutlet
from tests.support.responses_events import events_of

MESSAGE: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "status": "in_progress", "content": []}


def text(name: str, key: int | None = 0) -> Text:
    read = PARTS[name] if name in PARTS else CALLS[name]
    return Text(read, key, Speaking(Channel(0, read.kind), ScriptedOutlet()))


def test_a_text_begins_its_item_and_ends_with_what_was_told_of_it() -> None:
    telling, item, said = Telling(), Item(MESSAGE, 4), text("output_text", 7)
    stream = telling.delta(item, said, "a") + telling.delta(item, said, "b")
    stream += telling.text_ended(item, said) + telling.item_ended(item, "incomplete")
    events = events_of(stream)
    assert [(event["type"].removeprefix("response."), event["sequence_number"]) for event in events] == [
        ("output_item.added", 0),
        ("content_part.added", 1),
        ("output_text.delta", 2),
        ("output_text.delta", 3),
        ("output_text.done", 4),
        ("content_part.done", 5),
        ("output_item.done", 6),
    ]
    part = {"type": "output_text", "text": "ab", "annotations": [], "logprobs": []}
    assert events[4]["text"] == "ab"
    assert (events[5]["part"], events[5]["content_index"], events[5]["output_index"]) == (part, 0, 0)
    assert telling.output == [{**MESSAGE, "status": "incomplete", "content": [part]}]


def test_a_call_has_no_parts_and_its_last_event_names_it() -> None:
    telling, said = Telling(), text("function_call", None)
    item = Item({"id": "f", "type": "function_call", "name": "look", "call_id": "c"}, 0)
    events = events_of(telling.delta(item, said, "{}") + telling.text_ended(item, said))
    assert events[0]["item"]["arguments"] == ""
    assert [event["type"].rpartition("_")[2] for event in events[1:]] == ["arguments.delta", "arguments.done"]
    assert (events[2]["arguments"], events[2]["name"]) == ("{}", "look")


def test_an_item_that_comes_whole_has_a_place_among_the_others() -> None:
    telling, item = Telling(), Item(MESSAGE, 0)
    events = events_of(telling.whole({"type": "x"}) + telling.item_ended(item))
    assert [event["output_index"] for event in events] == [0, 0, 1, 1]
    assert [each["type"] for each in telling.output] == ["x", "message"]


def test_the_response_repeats_the_output() -> None:
    telling, item, said = Telling(), Item(MESSAGE, 0), text("output_text")
    telling.delta(item, said, "a")
    telling.text_ended(item, said)
    telling.item_ended(item)
    (event,) = events_of(telling.response("response.completed", {"output": ["x"], "output_text": "x"}))
    assert event["response"] == {"output": telling.output, "output_text": "a"}

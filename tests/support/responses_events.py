"""The events of a Responses stream put together again, as the official SDK does, and what must hold of them."""

from __future__ import annotations

import json
from typing import Any, cast

from openai._models import construct_type
from openai._types import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent

from gateway.wire import sse


def events_of(stream: bytes) -> list[Any]:
    """The data of every event."""
    return [json.loads(payload) for payload in sse.payloads(stream)]


def accumulate(stream: bytes) -> Any:
    """The last Response of a stream, which the SDK read event by event. Asserts that numbers are consecutive, that each
    text's pieces are what its last event and the Response say, and that items come in their order."""
    state = cast(Any, ResponseStreamState(input_tools=omit, text_format=omit))
    for payload in sse.payloads(stream):
        state.handle_event(construct_type(type_=ResponseStreamEvent, value=json.loads(payload)))
    events = events_of(stream)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    last = events[-1]["response"]
    assert [event["item"] for event in events if event["type"] == "response.output_item.done"] == last["output"]
    added = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    assert added == list(range(len(last["output"])))
    pieces: dict[Any, str] = {}
    for event in events:
        kind, _, verb = event["type"].rpartition(".")
        place = (kind, event.get("output_index"), event.get("content_index"), event.get("summary_index"))
        if verb == "delta":
            pieces[place] = pieces.get(place, "") + event["delta"]
        elif verb == "done" and (text := _whole(event)) is not None:
            assert text == pieces.pop(place, "")
    assert not pieces
    return last


def _whole(event: Any) -> str | None:
    for name in ("text", "refusal", "arguments", "input"):
        if name in event:
            return str(event[name])
    return None

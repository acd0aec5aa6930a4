"""A Response under a real chain: what is delivered does not depend on how its stream was cut, nor on when checks
answered, and is what is delivered of the whole Response.
"""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.responses.answer_texts import ResponseTexts
from gateway.wire.responses.editor import ResponsesEditor
from tests.support.responses_events import accumulate, events_of
from tests.support.screened import ADDRESS, BAD, STOP, Screens, judged
from tests.support.texts import SAID, cut

HEAD: dict[str, Any] = {
    "id": "r",
    "object": "response",
    "created_at": 5,
    "model": "m",
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "error": None,
    "incomplete_details": None,
}
USAGE = {
    "input_tokens": 5,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 12,
}

arguments = SAID.map(lambda text: text.replace(BAD, ""))  # documents are not under the classifier
documents = st.dictionaries(
    st.sampled_from("abc"), st.one_of(arguments, st.integers(0, 9), st.lists(arguments, max_size=2))
)
parts = st.one_of(
    st.builds(lambda text: {"type": "output_text", "text": text, "annotations": [], "logprobs": []}, SAID),
    st.builds(lambda text: {"type": "refusal", "refusal": text}, SAID),
)


def _thought(kind: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.builds(lambda text: {"type": kind, "text": text}, SAID), max_size=2)


items = st.one_of(
    st.builds(
        lambda content: {"type": "message", "role": "assistant", "status": "completed", "content": content},
        st.lists(parts, max_size=2),
    ),
    st.builds(
        lambda summary, content: {"type": "reasoning", "status": "completed", "summary": summary, "content": content},
        _thought("summary_text"),
        _thought("reasoning_text"),
    ),
    st.builds(
        lambda given: {
            "type": "function_call",
            "call_id": "c",
            "name": "look",
            "arguments": json.dumps(given),
            "status": "completed",
        },
        documents,
    ),
    st.builds(lambda given: {"type": "custom_tool_call", "call_id": "c", "name": "go", "input": given}, arguments),
    st.builds(
        lambda found: {"type": "file_search_call", "status": "completed", "queries": [], "results": found},
        st.lists(st.builds(lambda text: {"text": text}, arguments), max_size=2),
    ),
)
outputs = st.lists(items, max_size=4).map(
    lambda output: [
        {"id": f"i{index}", **item, **({"call_id": f"c{index}"} if "call_id" in item else {})}
        for index, item in enumerate(output)
    ]
)
sizes_of_pieces = st.lists(st.integers(1, 9), min_size=1)

EVENTS = {
    "output_text": ("response.output_text", "text"),
    "refusal": ("response.refusal", "refusal"),
    "summary_text": ("response.reasoning_summary_text", "text"),
    "reasoning_text": ("response.reasoning_text", "text"),
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}


def growing(index: int, item: dict[str, Any], sizes: list[int]) -> list[dict[str, Any]]:
    """The events of an item between its first and its last."""
    texts: list[tuple[dict[str, Any], dict[str, Any]]] = []
    if item["type"] in EVENTS:
        texts.append(({}, item))
    for name in ("summary", "content"):
        texts += (({f"{name}_index": place}, part) for place, part in enumerate(item.get(name, ())))
    events: list[dict[str, Any]] = []
    for at, text in texts:
        event, member = EVENTS[text["type"]]
        here = {"item_id": item["id"], "output_index": index, **at}
        part_event = "response.reasoning_summary_part" if "summary_index" in at else "response.content_part"
        if at:
            events.append({"type": f"{part_event}.added", **here, "part": {**text, member: ""}})
        events += ({"type": f"{event}.delta", **here, "delta": piece} for piece in cut(text[member], sizes))
        events.append({"type": f"{event}.done", **here, member: text[member]})
        if at:
            events.append({"type": f"{part_event}.done", **here, "part": text})
    return events


def streamed(output: list[dict[str, Any]], sizes: list[int], *, mixed: bool = False) -> bytes:
    """The stream that tells these items; `mixed`: those that the backend works on at once, event by event in turn."""
    each: list[list[dict[str, Any]]] = []
    for index, item in enumerate(output):
        growing_members = [name for name in ("content", "summary", "arguments", "input") if name in item]
        empty: dict[str, Any] = {name: type(item[name])() for name in growing_members}
        begin: dict[str, Any] = {"type": "response.output_item.added", "output_index": index, "item": {**item, **empty}}
        end = {"type": "response.output_item.done", "output_index": index, "item": item}
        each.append([begin, *growing(index, item, sizes), end])
    begun = {**HEAD, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [{"type": "response.created", "response": begun}]
    if mixed:
        longest = max(map(len, each), default=0)
        events += (told[turn] for turn in range(longest) for told in each if turn < len(told))
    else:
        events += (event for told in each for event in told)
    events.append({"type": "response.completed", "response": response(output)})
    return b"".join(
        b"data: " + json.dumps({**event, "sequence_number": number}).encode() + b"\n\n"
        for number, event in enumerate(events)
    )


def response(output: list[dict[str, Any]]) -> dict[str, Any]:
    return {**HEAD, "status": "completed", "output": output, "usage": USAGE}


def edited(pieces: list[bytes], patience: int = 1) -> bytes:
    """What is delivered of a stream; checks answer every `patience` pieces."""
    screens = Screens()
    return screens.run(ResponsesEditor(screens.open), pieces, patience)


def whole(output: list[dict[str, Any]]) -> Any:
    answer = ResponseTexts(json.dumps(response(output)).encode())
    return json.loads(answer.said(judged(answer.parts)))


def told(stream: bytes) -> Any:
    """The last Response, without a call that was begun and then blocked: a whole answer does not have it."""
    last = accumulate(stream)
    calls = ("function_call", "custom_tool_call")
    last["output"] = [
        item for item in last["output"] if item["type"] not in calls or item.get("status") != "incomplete"
    ]
    return last


def spoken(stream: bytes) -> str:
    """All that a stream says but pieces, and the pieces of each text together."""
    return "".join(
        event["delta"] if "delta" in event else json.dumps(event, ensure_ascii=False) for event in events_of(stream)
    )


@given(outputs, sizes_of_pieces, st.lists(st.integers(1, 90), min_size=1))
@settings(deadline=None)
def test_a_stream_says_what_the_whole_response_says_however_it_is_cut(
    output: list[dict[str, Any]], sizes: list[int], cuts: list[int]
) -> None:
    stream = streamed(output, sizes)
    out = edited([stream])
    assert told(out) == whole(output)
    assert told(edited(cut(stream, cuts))) == told(out)
    for found in (ADDRESS, STOP, BAD):
        assert found not in spoken(out)


@given(outputs, sizes_of_pieces)
@settings(deadline=None)
def test_items_that_grow_at_once_are_told_one_after_another(output: list[dict[str, Any]], sizes: list[int]) -> None:
    assert edited([streamed(output, sizes, mixed=True)]) == edited([streamed(output, sizes)])


@given(outputs, sizes_of_pieces, st.integers(1, 9))
@settings(deadline=None)
def test_when_checks_answer_changes_nothing(output: list[dict[str, Any]], sizes: list[int], patience: int) -> None:
    late = edited(cut(streamed(output, sizes), [97]), patience)
    assert told(late) == whole(output)
    assert BAD not in spoken(late)


@given(outputs, sizes_of_pieces, st.integers(0, 9000))
@settings(deadline=None)
def test_a_stream_that_breaks_off_delivers_nothing_that_was_found(
    output: list[dict[str, Any]], sizes: list[int], at: int
) -> None:
    stream = streamed(output, sizes)
    out = edited([stream[: at % len(stream)]])
    for found in (ADDRESS, STOP, BAD):
        assert found not in spoken(out)

"""Editors of named events given anything: what they cannot read is told in band, and nothing is raised."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import sse
from gateway.wire.messages.editor import MessagesEditor
from gateway.wire.responses import texts
from gateway.wire.responses.editor import ResponsesEditor
from tests.support.screened import Screens

words = st.sampled_from(["", "a", "stop now", "joe@example.org"])
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 3), st.floats(), words),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(words, inner, max_size=2)),
    max_leaves=4,
)


def mostly(*likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What should stand somewhere, and now and then anything else."""
    return st.one_of(*likely, *likely, *likely, anything)


def members(**likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object that has some of these members."""
    return mostly(st.fixed_dictionaries({}, optional=likely))


index = mostly(st.integers(0, 1))
message_events = members(
    type=mostly(
        st.sampled_from(
            [
                *("message_start", "content_block_start", "content_block_delta", "content_block_stop"),
                *("message_delta", "message_stop", "ping", "error"),
            ]
        )
    ),
    index=index,
    message=members(content=anything, usage=anything),
    content_block=members(
        type=mostly(st.sampled_from(["text", "thinking", "tool_use", "redacted_thinking"])),
        text=words,
        thinking=mostly(words),
        signature=mostly(words),
        name=anything,
        input=anything,
    ),
    delta=members(
        type=mostly(st.sampled_from(["text_delta", "thinking_delta", "signature_delta", "input_json_delta"])),
        text=mostly(words),
        thinking=mostly(words),
        signature=mostly(words),
        partial_json=mostly(words),
        stop_reason=anything,
    ),
    usage=anything,
    error=anything,
)
items = members(
    type=mostly(st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "shell_call", "new"])),
    id=anything,
    status=anything,
    name=anything,
    content=mostly(st.lists(members(type=mostly(st.sampled_from(list(texts.PARTS))), text=mostly(words)), max_size=2)),
    summary=anything,
    arguments=mostly(words),
    input=mostly(words),
)
response_events = members(
    type=mostly(
        st.sampled_from(
            [
                *("response.created", "response.completed", "response.failed", "error"),
                *("response.output_item.added", "response.output_item.done", "response.content_part.done"),
            ]
        ),
        st.sampled_from([*texts.BY_DELTA, *texts.BY_DONE]),
    ),
    output_index=index,
    content_index=index,
    summary_index=index,
    item=items,
    part=members(type=mostly(st.sampled_from(list(texts.PARTS))), text=mostly(words)),
    delta=mostly(words),
    text=mostly(words),
    refusal=mostly(words),
    arguments=mostly(words),
    input=mostly(words),
    response=members(output=anything, output_text=anything, usage=anything),
    error=anything,
)


@pytest.mark.parametrize(("make", "events"), [(MessagesEditor, message_events), (ResponsesEditor, response_events)])
def test_whatever_comes_is_edited_or_an_error_in_band(make: Any, events: st.SearchStrategy[Any]) -> None:
    @given(st.lists(st.one_of(events, events, anything), max_size=8))
    def check(sent: list[Any]) -> None:
        screens = Screens()
        editor: Any = make(screens.open)
        stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in sent)
        out = screens.run(editor, [stream])
        assert not editor.waits
        told = [json.loads(payload) for payload in sse.payloads(out)]
        assert editor.failed is None or "error" in told[-1]

    check()

"""What of an item is text, and what may stand beside it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.edits import OUTPUT, TOOL_CALL
from gateway.wire.responses import texts

FOUND = {"id": "f", "type": "file_search_call", "status": "completed", "results": [{"text": "a"}]}


def test_all_of_an_unknown_item_is_text_but_its_ids() -> None:
    assert json.loads(texts.document(FOUND)) == {"results": [{"text": "a"}]}
    assert texts.from_document(FOUND, '{"results":[]}') == {**FOUND, "results": []}
    assert texts.from_document(FOUND, "[]") is None
    assert texts.from_document(FOUND, "{") is None


def test_pictures_are_not_read() -> None:
    picture = {"id": "p", "type": "image_generation_call", "result": "aGk=", "revised_prompt": "a cat"}
    assert json.loads(texts.document(picture)) == {"revised_prompt": "a cat"}
    assert texts.from_document(picture, "{}") == {"id": "p", "type": "image_generation_call", "result": "aGk="}


@pytest.mark.parametrize(
    ("item", "phase", "tool"),
    [
        (FOUND, OUTPUT, ""),
        ({"type": "mcp_call", "name": "look"}, OUTPUT, ""),
        ({"type": "local_shell_call", "action": {"command": ["ls"]}}, TOOL_CALL, "local_shell"),
        ({"type": "mcp_approval_request", "name": "look"}, TOOL_CALL, "look"),
    ],
)
def test_what_the_caller_is_asked_to_run_is_a_call(item: dict[str, Any], phase: str, tool: str) -> None:
    assert (texts.of_document(item).phase, texts.tool_of(item)) == (phase, tool)


def test_a_call_names_its_tool() -> None:
    assert texts.tool_of({"type": "function_call", "name": "look"}) == "look"
    assert texts.tool_of({"type": "custom_tool_call"}) == ""
    assert texts.tool_of({"type": "message", "name": "look"}) == ""


def test_parts_of_other_types_are_no_texts() -> None:
    item = {"content": [{"type": "output_audio"}, {"type": "output_text", "text": "a"}, {"type": "summary_text"}]}
    assert texts.listed(item, "content") == [(1, texts.PARTS["output_text"], "a")]
    assert texts.listed({"content": None}, "content") == []


@pytest.mark.parametrize("content", ["a", [1], [{"type": "output_text", "text": 5}]])
def test_parts_are_objects_with_strings(content: Any) -> None:
    with pytest.raises(ValueError, match=r"content|text"):
        texts.listed({"content": content}, "content")


def test_a_response_without_its_texts_says_nothing() -> None:
    response = {"id": "r", "output": [1], "output_text": "a", "input_messages": ["a"], "output_messages": ["a"]}
    assert texts.without_texts(response) == {"id": "r", "output": [], "input_messages": None, "output_messages": None}

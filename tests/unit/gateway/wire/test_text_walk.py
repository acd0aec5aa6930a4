"""The walk that finds texts: what it takes for one, whose it is, and where it ends."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.edits import INPUT, TOOL_RESULT
from gateway.wire.text_walk import MAX_DEPTH, MAX_VALUES, Members, TextWalk


def walked(name: str, value: Any) -> TextWalk:
    walk = TextWalk()
    walk.read({name: value}, name)
    return walk


def test_blocks_of_types_nobody_knows_are_read() -> None:
    walk = walked("messages", [{"role": "user", "content": [{"type": "hologram", "scene": {"caption": ["a", "b"]}}]}])
    assert [part.place for part in walk.parts] == [
        "messages[0].content[0].scene.caption[0]",
        "messages[0].content[0].scene.caption[1]",
    ]


def test_a_text_is_replaced_where_it_stands_as_often_as_one_likes() -> None:
    fields: dict[str, Any] = {"x": ["a", {"b": "c"}, "", 4]}
    walk = TextWalk()
    walk.read(fields, "x")
    walk.replace(["A", "C"])
    assert fields == {"x": ["A", {"b": "C"}, "", 4]}
    walk.replace(["", "D"])
    assert fields == {"x": ["", {"b": "D"}, "", 4]}


def test_the_last_call_of_an_id_before_a_result_is_the_one_it_belongs_to() -> None:
    turns: list[Any] = []
    for tool in ("search", "mail"):
        turns.append({"role": "assistant", "tool_calls": [{"id": "0", "function": {"name": tool, "arguments": ""}}]})
        turns.append({"role": "tool", "tool_call_id": "0", "content": tool})
    walk = walked("messages", turns)
    assert [(part.tool, part.phase) for part in walk.parts] == [("search", TOOL_RESULT), ("mail", TOOL_RESULT)]


def test_what_stands_within_a_result_is_of_the_same_tool() -> None:
    call = {"type": "server_tool_use", "id": "s", "name": "run", "input": {}}
    inner = {"type": "code_execution_output", "name": "other", "text": "a"}
    result = {"type": "code_execution_tool_result", "tool_use_id": "s", "content": [inner]}
    walk = walked("messages", [{"role": "assistant", "content": [call, result]}])
    assert [(part.text, part.tool) for part in walk.parts] == [("a", "run")]
    assert walk.results == ["run"]


def test_arguments_are_json_in_a_string_or_as_they_are() -> None:
    walk = walked(
        "x", [{"name": "f", "arguments": "{"}, {"name": "f", "arguments": {"a": "b"}}, {"arguments": {"a": "b"}}]
    )
    assert [(part.text, part.is_json, part.tool) for part in walk.parts] == [
        ("{", True, "f"),
        ('{"a":"b"}', True, "f"),
        ("b", False, ""),
    ]
    assert {part.phase for part in walk.parts} == {INPUT}


@pytest.mark.parametrize("odd", [{"role": 5}, {"type": []}, {"id": 1, "name": 2}, {"role": "tool", "tool_call_id": {}}])
def test_members_of_other_types_than_expected_are_no_error(odd: dict[str, Any]) -> None:
    assert [part.text for part in walked("messages", [{**odd, "content": "a"}]).parts] == ["a"]


def test_lists_of_numbers_cost_nothing_and_are_tokens_only_where_a_prompt_stands() -> None:
    assert walked("x", [[1.5] * 3, [1] * (2 * MAX_VALUES)]).unread == ""
    assert walked("input", [{"embedding": [1, 2]}]).unread == ""
    assert walked("input", [{"input": [1, 2]}]).unread == ""
    assert walked("input", [[1], [2]]).unread == "input[0]"


def test_what_is_too_deep_or_too_large_is_refused() -> None:
    deep: Any = "a"
    for _ in range(MAX_DEPTH + 2):
        deep = [deep]
    for value in (deep, ["a"] * (MAX_VALUES + 1)):
        with pytest.raises(InvalidRequest):
            walked("x", value)


def test_members_are_joined_in_order_and_refused_when_names_fall_together() -> None:
    members = Members({"a b": 1, "c": 2}, "x")
    assert list(members.joined().items()) == [("a b", 1), ("c", 2)]
    members.names[0] = "c"
    with pytest.raises(InvalidRequest, match="x: two members"):
        members.joined()

"""Tools and text formats of a Responses request in chat's words."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.wire.responses import tools as responses_tools

WEATHER = {"type": "function", "name": "weather", "description": "d", "parameters": {"type": "object"}, "strict": True}
CLOCK = {"type": "function", "name": "clock", "parameters": None}


def tools(given: Any, choice: Any = None) -> Any:
    found = responses_tools.tools(raw(given), raw(choice))
    return json.loads(msgspec.json.encode(found))


def text(given: Any) -> Any:
    return json.loads(msgspec.json.encode(responses_tools.text(raw(given))))


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def test_functions_are_wrapped_and_nothing_is_said_of_what_was_not() -> None:
    function = {"name": "weather", "description": "d", "parameters": {"type": "object"}, "strict": True}
    assert tools([WEATHER, CLOCK]) == {
        "tools": [
            {"type": "function", "function": function},
            {"type": "function", "function": {"name": "clock"}},
        ]
    }


@pytest.mark.parametrize("choice", ["none", "auto", "required"])
def test_a_choice_by_word_is_the_same_word(choice: str) -> None:
    assert tools([CLOCK], choice)["tool_choice"] == choice


def test_a_choice_by_name_is_wrapped() -> None:
    assert tools([CLOCK], {"type": "function", "name": "clock"})["tool_choice"] == {
        "type": "function",
        "function": {"name": "clock"},
    }


@pytest.mark.parametrize(("mode", "word"), [("auto", "auto"), ("required", "required")])
def test_allowed_tools_are_the_only_ones(mode: str, word: str) -> None:
    allowed = {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": "clock"}]}
    said = tools([WEATHER, CLOCK], allowed)
    assert ([tool["function"]["name"] for tool in said["tools"]], said["tool_choice"]) == (["clock"], word)


@pytest.mark.parametrize("choice", [None, "auto", "none"])
@pytest.mark.parametrize("given", [None, []])
def test_without_tools_nothing_is_said_of_a_choice(given: Any, choice: Any) -> None:
    assert tools(given, choice) == {}


@pytest.mark.parametrize(
    ("given", "choice", "param", "words"),
    [
        ([CLOCK, {"type": "web_search"}], None, "tools[1]", "tools of type web_search"),
        ([{"type": "custom", "name": "x"}], None, "tools[0]", "tools of type custom"),
        ([{"name": "x"}], None, "tools[0]", "tools of type null"),
        ([{"type": "function"}], None, "tools[0].name", "non-empty string"),
        ([CLOCK, CLOCK], None, "tools[1].name", "another tool of that name"),
        ([{"type": "function", "name": 5}], None, "tools[0].name", "expected `str"),
        ({}, None, "tools", "expected `array"),
        ([CLOCK], "any", "tool_choice", "one of none, auto, required"),
        ([CLOCK], {"type": "web_search"}, "tool_choice", "tools of type web_search"),
        ([CLOCK], {"type": "function", "name": "x"}, "tool_choice", "not in tools"),
        ([CLOCK], {"type": "allowed_tools", "tools": [{"type": "mcp"}]}, "tool_choice.tools[0]", "type mcp"),
        ([CLOCK], {"type": "allowed_tools", "mode": "required"}, "tool_choice", "there are no tools"),
        ([], "required", "tool_choice", "there are no tools"),
    ],
)
def test_a_tool_that_chat_cannot_have_is_refused_by_its_place(given: Any, choice: Any, param: str, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words.replace("`", ".")) as refused:
        tools(given, choice)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, {}),
        ({}, {}),
        ({"format": {"type": "text"}, "verbosity": "low"}, {"verbosity": "low"}),
        ({"format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        (
            {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True},
                }
            },
        ),
    ],
)
def test_a_format_is_said_as_chat_says_it(given: Any, said: Any) -> None:
    assert text(given) == said


@pytest.mark.parametrize("given", [{"format": {"type": "grammar"}}, {"format": {}}])
def test_an_unknown_format_is_refused(given: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        text(given)
    assert refused.value.param == "text.format.type"

"""A request in Anthropic's format as one for chat completions: every field of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.messages import codec as messages
from gateway.wire.messages import to_chat as messages_to_chat

ASKED = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}}


def chat(**fields: Any) -> Any:
    call = messages.parse(json.dumps({**ASKED, **fields}).encode())
    return json.loads(messages_to_chat.outgoing(call, "served", b'"served"', {}))


def added(**fields: Any) -> Any:
    """What these fields add to the plain request."""
    plain = chat()
    return {name: value for name, value in chat(**fields).items() if plain.get(name) != value}


def test_a_plain_request() -> None:
    assert chat() == {**ASKED, "model": "served"}


def test_the_system_prompt_becomes_the_first_message() -> None:
    assert chat(system="brief")["messages"][0] == {"role": "system", "content": "brief"}
    assert "system" not in chat(system="brief")


def test_a_stream_asks_for_its_usage() -> None:
    assert added(stream=True) == {"stream": True, "stream_options": {"include_usage": True}}


@pytest.mark.parametrize("name", ["temperature", "top_p", "top_k", "seed", "min_p", "chat_template_kwargs"])
def test_fields_both_formats_know_or_neither_pass_as_they_came(name: str) -> None:
    assert added(**{name: 0.5}) == {name: 0.5}


@pytest.mark.parametrize("name", sorted(messages_to_chat.LEFT_OUT))
def test_hints_are_left_out(name: str) -> None:
    assert added(**{name: {"type": "enabled"}}) == {}


@pytest.mark.parametrize("name", sorted(messages_to_chat.REFUSED))
def test_what_needs_another_server_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidRequest, match=name) as refused:
        chat(**{name: 1})
    assert refused.value.param == name


def test_stop_sequences_user_and_extra_fields() -> None:
    assert added(stop_sequences=["a", "\n"]) == {"stop": ["a", "\n"]}
    assert added(metadata={"user_id": "u", "team": 1}) == {"user": "u"}
    call = messages.parse(json.dumps({**ASKED, "cache_salt": "own"}).encode())
    salted = messages_to_chat.outgoing(call, "served", b'"served"', {"cache_salt": b'"s"'})
    assert json.loads(salted)["cache_salt"] == "s"


def test_null_is_as_good_as_absent() -> None:
    names = ("system", "metadata", "stop_sequences", "tools", "tool_choice", "output_config")
    assert added(**dict.fromkeys(names)) == {}


def test_tools_become_functions() -> None:
    full = {"name": "weather", "description": "d", "input_schema": WEATHER, "strict": True, "type": "custom"}
    bare = {"name": "now", "cache_control": {"type": "ephemeral"}}
    function = {"name": "weather", "description": "d", "parameters": WEATHER, "strict": True}
    assert added(tools=[full, bare])["tools"] == [
        {"type": "function", "function": function},
        {"type": "function", "function": {"name": "now"}},
    ]


@pytest.mark.parametrize(
    ("choice", "asked"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "w"}, {"tool_choice": {"type": "function", "function": {"name": "w"}}}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
        ({"type": "any", "disable_parallel_tool_use": False}, {"tool_choice": "required"}),
    ],
)
def test_tool_choices(choice: Any, asked: Any) -> None:
    assert added(tool_choice=choice) == asked


def test_an_output_config_is_an_effort_and_a_schema() -> None:
    assert added(output_config={"effort": "low"}) == {"reasoning_effort": "low"}
    schema = {"type": "json_schema", "schema": WEATHER}
    assert added(output_config={"format": schema})["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": WEATHER, "strict": True},
    }


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "a"}, 5]}, "tools[1]"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        ({"tools": [{"name": 5}]}, "tools[0].name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice.type"),
        ({"tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"output_config": {"format": {"type": "text", "schema": {}}}}, "output_config.format.type"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format"),
        ({"messages": [{"role": "user", "content": [{"type": "document"}]}]}, "messages[0].content[0]"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_place(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        chat(**fields)
    assert refused.value.param == param
    assert param in refused.value.message


def test_a_tool_of_anthropics_own_is_named() -> None:
    with pytest.raises(InvalidRequest, match="a tool of type bash_20250124"):
        chat(tools=[{"type": "bash_20250124", "name": "bash"}])


def test_a_count_asks_with_what_the_prompt_is_made_of() -> None:
    tool = {"name": "weather", "input_schema": WEATHER}
    sent = json.dumps({**ASKED, "tools": [tool], "system": "brief", "thinking": {}, "temperature": 1}).encode()
    asked = json.loads(messages_to_chat.outgoing_count(messages.parse_count(sent), "served", b'"served"', {}))
    assert asked == {
        "model": "served",
        "messages": [{"role": "system", "content": "brief"}, *ASKED["messages"]],  # type: ignore[misc]
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}],
    }

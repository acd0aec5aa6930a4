"""The tools of a Responses request, which of them to call, and the format of its text, as a chat request says them."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body

_NULL: Final = msgspec.Raw(b"null")
_CHOICES: Final = frozenset(("none", "auto", "required"))


class _Tool(msgspec.Struct):
    type: str | None = None
    name: str | None = None
    description: msgspec.Raw = _NULL
    parameters: msgspec.Raw = _NULL
    strict: msgspec.Raw = _NULL


class _Choice(msgspec.Struct):
    type: str | None = None
    name: str | None = None
    mode: str | None = None
    tools: list[_Tool] | None = None


class _Format(msgspec.Struct):
    type: str | None = None
    name: msgspec.Raw = _NULL
    description: msgspec.Raw = _NULL
    schema: msgspec.Raw = _NULL
    strict: msgspec.Raw = _NULL


class _Text(msgspec.Struct):
    format: _Format | None = None
    verbosity: str | None = None


_decode_tools: Final = msgspec.json.Decoder(list[_Tool] | None).decode
_decode_choice: Final = msgspec.json.Decoder(str | _Choice | None).decode
_decode_text: Final = msgspec.json.Decoder(_Text | None).decode

Members = dict[str, object]


def tools(given: msgspec.Raw, choice: msgspec.Raw) -> Members:
    """The chat fields `tools` and `tool_choice`, each only when there is something to say. Raises InvalidRequest, which
    names the tool a chat cannot have.
    """
    found: dict[str, Members] = {}
    for index, tool in enumerate(wire_body.typed(_decode_tools, given, "tools") or ()):
        _function_only(tool, f"tools[{index}]")
        if tool.name in found:
            raise InvalidRequest(f"tools[{index}]: there is another tool of that name", param=f"tools[{index}].name")
        function = {"name": tool.name, **_said(tool, "description", "parameters", "strict")}
        found[tool.name or ""] = {"type": "function", "function": function}
    chosen = wire_body.typed(_decode_choice, choice, "tool_choice")
    said: Members = {}
    if isinstance(chosen, str):
        if chosen not in _CHOICES:
            raise InvalidRequest("tool_choice must be one of none, auto, required, or an object", param="tool_choice")
        said["tool_choice"] = chosen
    elif chosen is not None:
        if chosen.type == "allowed_tools":
            allowed = _allowed(chosen, found)
            found = {name: tool for name, tool in found.items() if name in allowed}
            said["tool_choice"] = "required" if chosen.mode == "required" else "auto"
        else:
            said["tool_choice"] = {"type": "function", "function": {"name": _one(chosen, "tool_choice", found)}}
    if not found:
        if said.get("tool_choice") == "required":
            raise InvalidRequest("tool_choice is required, but there are no tools", param="tool_choice")
        return {}  # chat servers refuse to be told how to choose among no tools
    return {"tools": list(found.values()), **said}


def text(given: msgspec.Raw) -> Members:
    """The chat fields `response_format` and `verbosity`, each only when there is something to say. Raises
    InvalidRequest.
    """
    asked = wire_body.typed(_decode_text, given, "text")
    said: Members = {}
    if asked is None:
        return said
    if asked.verbosity is not None:
        said["verbosity"] = asked.verbosity
    form = asked.format
    if form is None or form.type == "text":
        return said
    if form.type == "json_object":
        return said | {"response_format": {"type": "json_object"}}
    if form.type == "json_schema":
        schema = _said(form, "name", "description", "schema", "strict")
        return said | {"response_format": {"type": "json_schema", "json_schema": schema}}
    raise InvalidRequest("text.format.type must be one of text, json_object, json_schema", param="text.format.type")


def _function_only(tool: _Tool | _Choice, place: str) -> None:
    if tool.type != "function":
        kind = wire_body.shown(tool.type or "null")
        raise InvalidRequest(f"{place}: this model can call functions, not tools of type {kind}", param=place)
    if not tool.name:
        raise InvalidRequest(f"{place}.name is required and must be a non-empty string", param=f"{place}.name")


def _one(tool: _Tool | _Choice, place: str, found: dict[str, Members]) -> str:
    _function_only(tool, place)
    name = tool.name or ""
    if name not in found:
        raise InvalidRequest(f"{place} names the function {wire_body.shown(name)}, which is not in tools", param=place)
    return name


def _allowed(choice: _Choice, found: dict[str, Members]) -> set[str]:
    """Chat servers seldom know `allowed_tools`; leaving the others out says the same."""
    return {_one(tool, f"tool_choice.tools[{index}]", found) for index, tool in enumerate(choice.tools or ())}


def _said(values: _Tool | _Format, *names: str) -> Members:
    return {name: value for name in names if (value := getattr(values, name)) != _NULL}

"""A request for Anthropic's messages as one for chat completions, for a backend that speaks only that.

Fields both formats know pass as they came, and so do those neither knows (`top_k`, `seed`, `chat_template_kwargs`, …):
the backend judges them. Hints that change no answer are left out. What chat cannot say is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire.body import Fields, shown, typed
from gateway.wire.call import Call
from gateway.wire.messages import blocks
from gateway.wire.messages.blocks import Json

Raw = msgspec.Raw

LEFT_OUT: Final = frozenset(
    ("cache_control", "diagnostics", "inference_geo", "service_tier", "speed", "thinking", "user_profile_id")
)
"""Where and how fast an answer is made, and how a model thinks: the backend's own settings decide."""

REFUSED: Final = frozenset(("container", "context_management", "mcp_servers", "n"))
"""What needs Anthropic's servers, and `n`: a message is one answer."""

_SAID_OTHERWISE: Final = ("metadata", "output_config", "stop_sequences", "system", "tool_choice", "tools")

_CHOICES: Final = {"auto": "auto", "any": "required", "none": "none"}


_NULL: Final = Raw(b"null")


class _Tool(msgspec.Struct, gc=False):
    name: Raw
    type: str | None = None
    description: Raw = _NULL
    input_schema: Raw = _NULL
    strict: bool | None = None


class _Choice(msgspec.Struct, gc=False):
    type: str
    name: Raw = _NULL
    disable_parallel_tool_use: bool | None = None


class _Format(msgspec.Struct, gc=False):
    type: str
    schema: dict[str, Raw]


class _OutputConfig(msgspec.Struct, gc=False):
    effort: str | None = None
    format: _Format | None = None


_decode_list: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_texts: Final = msgspec.json.Decoder(list[str]).decode
_decode_tool: Final = msgspec.json.Decoder(_Tool).decode
_decode_choice: Final = msgspec.json.Decoder(_Choice).decode
_decode_output: Final = msgspec.json.Decoder(_OutputConfig).decode
_encode: Final = msgspec.json.Encoder().encode


def outgoing(call: Call, served_model: str, served_model_json: bytes, extra: Mapping[str, bytes]) -> bytes:
    """The body for chat completions; a stream asks for its usage. Raises InvalidRequest."""
    return _encode(_request(call, served_model_json) | {name: Raw(value) for name, value in extra.items()})


def outgoing_count(call: Call, served_model: str, served_model_json: bytes, extra: Mapping[str, bytes]) -> bytes:
    """The body for `/tokenize`, which counts what a chat would be prompted with."""
    asked = _request(call, served_model_json)
    return _encode({name: asked[name] for name in ("model", "messages", "tools") if name in asked})


def _request(call: Call, served_model_json: bytes) -> Json:
    fields = call.fields
    wire_body.deny(fields, REFUSED)
    asked: Json = {name: value for name, value in fields.items() if name not in LEFT_OUT}
    for name in _SAID_OTHERWISE:
        asked.pop(name, None)
    asked["model"] = Raw(served_model_json)
    asked["messages"] = blocks.translate(fields.get("system"), fields["messages"])
    if call.stream:
        asked["stream_options"] = {"include_usage": True}
    if call.end_user is not None:
        asked["user"] = call.end_user
    if _given(fields, "stop_sequences"):
        asked["stop"] = typed(_decode_texts, fields["stop_sequences"], "stop_sequences")
    if _given(fields, "tools"):
        found = typed(_decode_list, fields["tools"], "tools")
        asked["tools"] = [_tool(raw, f"tools[{index}]") for index, raw in enumerate(found)]
    if _given(fields, "tool_choice"):
        asked |= _tool_choice(fields["tool_choice"])
    if _given(fields, "output_config"):
        asked |= _output(fields["output_config"])
    return asked


def _given(fields: Fields, name: str) -> bool:
    return name in fields and fields[name] != _NULL


def _tool(raw: Raw, where: str) -> Json:
    tool = typed(_decode_tool, raw, where)
    if tool.type not in (None, "custom"):
        raise InvalidRequest(
            f"{where}: a tool of type {shown(tool.type)} cannot be sent to this model's backend, "
            "which speaks chat completions only",
            param=where,
        )
    function: dict[str, Any] = {"name": blocks.text(tool.name, f"{where}.name")}
    if tool.description != _NULL:
        function["description"] = tool.description
    if tool.input_schema != _NULL:
        function["parameters"] = tool.input_schema
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(raw: Raw) -> Json:
    choice = typed(_decode_choice, raw, "tool_choice")
    if choice.type == "tool":
        name = blocks.text(choice.name, "tool_choice.name")
        asked: Json = {"tool_choice": {"type": "function", "function": {"name": name}}}
    elif choice.type in _CHOICES:
        asked = {"tool_choice": _CHOICES[choice.type]}
    else:
        raise InvalidRequest("tool_choice.type must be auto, any, tool or none", param="tool_choice.type")
    if choice.disable_parallel_tool_use:
        asked["parallel_tool_calls"] = False
    return asked


def _output(raw: Raw) -> Json:
    config = typed(_decode_output, raw, "output_config")
    asked: Json = {}
    if config.effort is not None:
        asked["reasoning_effort"] = config.effort
    if config.format is not None:
        if config.format.type != "json_schema":
            raise InvalidRequest("output_config.format.type must be json_schema", param="output_config.format.type")
        schema = {"name": "answer", "schema": config.format.schema, "strict": True}
        asked["response_format"] = {"type": "json_schema", "json_schema": schema}
    return asked

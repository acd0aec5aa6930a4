"""A whole answer of chat completions as an Anthropic message.

Reasoning becomes a `thinking` block (its signature is empty: nothing signs it), then the text, then the tool calls with
their arguments parsed. Only the first choice is read: a message is one answer.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.errors import UpstreamProtocol
from gateway.wire import messages_usage, usage
from gateway.wire.call import Call

Json = dict[str, Any]

UNREADABLE: Final = "the backend's answer is not one of chat completions"

_REASONS: Final = {
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
}


class _Function(msgspec.Struct, gc=False):
    name: str
    arguments: str = ""


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function
    id: str | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice]
    id: str | None = None
    model: str | None = None


class _Count(msgspec.Struct, gc=False):
    count: int


_decode: Final = msgspec.json.Decoder(_Answer).decode
_decode_input: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_count: Final = msgspec.json.Decoder(_Count).decode
_encode: Final = msgspec.json.Encoder().encode


def answer(body: bytes, call: Call) -> bytes:
    """The message's JSON. Raises UpstreamProtocol for an answer that is none."""
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocol(UNREADABLE) from None
    if not found.choices:
        raise UpstreamProtocol(UNREADABLE)
    choice = found.choices[0]
    said = choice.message
    identity = found.id or "msg"
    content: list[Json] = []
    if thought := said.reasoning or said.reasoning_content:
        content.append({"type": "thinking", "thinking": thought, "signature": ""})
    if text := said.content or said.refusal:
        content.append({"type": "text", "text": text})
    cut = choice.finish_reason == "length"
    for index, asked in enumerate(said.tool_calls or ()):
        content.append(
            {
                "type": "tool_use",
                "id": asked.id or f"{identity}_{index}",
                "name": asked.function.name,
                "input": _input(asked.function, cut=cut),
            }
        )
    message = head(identity, found.model or call.alias, messages_usage.to_counts(usage.from_answer(body)))
    return _encode(message | {"content": content} | ending(choice.finish_reason, choice.stop_reason, said.tool_calls))


def head(identity: str, model: str, counts: messages_usage.Counts) -> Json:
    """A message before it has said anything."""
    return {
        "id": identity,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": counts,
    }


def ending(finish_reason: str | None, stop_reason: str | int | None, tools: object) -> Json:
    """`stop_reason` and `stop_sequence`; `tools` is true when tools were called.

    vLLM names the string that ended an answer in `stop_reason`; where a backend does not, it is an `end_turn`. A forced
    call ends with "stop" there, and is a `tool_use` here.
    """
    reason = _REASONS.get(finish_reason or "stop", "end_turn")
    if reason != "end_turn":
        return {"stop_reason": reason, "stop_sequence": None}
    if tools:
        return {"stop_reason": "tool_use", "stop_sequence": None}
    if isinstance(stop_reason, str):
        return {"stop_reason": "stop_sequence", "stop_sequence": stop_reason}
    return {"stop_reason": "end_turn", "stop_sequence": None}


def count(body: bytes, call: Call) -> bytes:
    """The answer of `/tokenize` as that of `count_tokens`. Raises UpstreamProtocol."""
    try:
        return _encode({"input_tokens": _decode_count(body).count})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocol("the backend's answer does not count tokens") from None


def _input(function: _Function, *, cut: bool) -> msgspec.Raw:
    """The arguments as JSON. Those of an answer that hit its limit may be cut: then nothing is known of them, and the
    stop reason says so. Others must be an object.
    """
    arguments = function.arguments.strip().encode() or b"{}"
    try:
        _decode_input(arguments)
    except (msgspec.DecodeError, RecursionError):
        if not cut:
            raise UpstreamProtocol("the backend called a tool with arguments that are not a JSON object") from None
        arguments = b"{}"
    return msgspec.Raw(arguments)

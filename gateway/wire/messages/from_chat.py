"""A whole answer of chat completions as an Anthropic message.

Reasoning becomes a `thinking` block (its signature is empty: nothing signs it), then the text, then the tool calls with
their arguments parsed. Only the first choice is read: a message is one answer.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.errors import UpstreamProtocol
from gateway.wire import chat_chunks
from gateway.wire.call import Call
from gateway.wire.chat_chunks import CallPart, Head
from gateway.wire.messages import usage as messages_usage

Json = dict[str, Any]

_REASONS: Final = {
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
}


class _Count(msgspec.Struct, gc=False):
    count: int


_decode_input: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_count: Final = msgspec.json.Decoder(_Count).decode
_encode: Final = msgspec.json.Encoder().encode


def answer(body: bytes, call: Call) -> bytes:
    """The message's JSON. Raises UpstreamProtocol for an answer that is none."""
    read = chat_chunks.read_answer(body)
    said = read.said
    message = head(read.head, call.alias, messages_usage.to_counts(read.usage))
    content: list[Json] = message["content"]
    if said.thinking:
        content.append({"type": "thinking", "thinking": said.thinking, "signature": ""})
    if text := said.content or said.refusal:
        content.append({"type": "text", "text": text})
    cut = said.finish_reason == "length"
    for part in said.calls:
        id_ = part.id or f"{message['id']}_{part.index}"
        content.append({"type": "tool_use", "id": id_, "name": part.name or "", "input": _input(part, cut=cut)})
    return _encode(message | ending(said.finish_reason, said.stop, said.calls))


def head(read: Head, alias: str, counts: messages_usage.Counts) -> Json:
    """A message before it has said anything. It has the backend's name of the model, as its chat answers do."""
    return {
        "id": read.id or "msg",
        "type": "message",
        "role": "assistant",
        "model": read.model or alias,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": counts,
    }


def ending(finish_reason: str | None, stop: str | None, tools: object) -> Json:
    """`stop_reason` and `stop_sequence`; `stop` is the string that ended the answer and `tools` is true when tools were
    called.

    vLLM names the string; where a backend does not, it is an `end_turn`. A forced call ends with "stop" there, and is a
    `tool_use` here.
    """
    reason = _REASONS.get(finish_reason or "stop", "end_turn")
    if reason != "end_turn":
        return {"stop_reason": reason, "stop_sequence": None}
    if tools:
        return {"stop_reason": "tool_use", "stop_sequence": None}
    if stop is not None:
        return {"stop_reason": "stop_sequence", "stop_sequence": stop}
    return {"stop_reason": "end_turn", "stop_sequence": None}


def count(body: bytes, call: Call) -> bytes:
    """The answer of `/tokenize` as that of `count_tokens`. Raises UpstreamProtocol."""
    try:
        return _encode({"input_tokens": _decode_count(body).count})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocol("the backend's answer does not count tokens") from None


def _input(part: CallPart, *, cut: bool) -> msgspec.Raw:
    """The arguments as JSON. Those of an answer that hit its limit may be cut: then nothing is known of them, and the
    stop reason says so. Others must be an object.
    """
    arguments = part.arguments.strip().encode() or b"{}"
    try:
        _decode_input(arguments)
    except (msgspec.DecodeError, RecursionError):
        if not cut:
            raise UpstreamProtocol("the backend called a tool with arguments that are not a JSON object") from None
        arguments = b"{}"
    return msgspec.Raw(arguments)

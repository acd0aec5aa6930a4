"""A Responses request as the chat request that asks the same.

Fields that mean the same in both (`temperature`, `top_p`, `user`, `service_tier`, …) and those neither knows (a
server's own) pass as they came. What a chat cannot say is a 400 that names the field; what only asks for something to
be kept, shown again or paid less for is left out, since the answer is the same without it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire.body import Fields
from gateway.wire.call import Call
from gateway.wire.responses import items as responses_items
from gateway.wire.responses import tools as responses_tools

_NULL: Final = msgspec.Raw(b"null")
_LOGPROBS: Final = "message.output_text.logprobs"

TRANSLATED: Final = frozenset(
    (
        *("instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "text", "max_output_tokens"),
        *("reasoning", "include", "top_logprobs"),
    )
)
"""Said in chat's words."""

LEFT_OUT: Final = frozenset(
    (
        *("store", "metadata", "stream_options", "truncation", "max_tool_calls", "background", "background_options"),
        *("previous_response_id", "conversation"),
    )
)
"""Nothing for the backend to do: `metadata` is shown in the answer again, there are no built-in tools to count, what
`truncation` and the last four may say is only the default.
"""

REFUSED: Final = frozenset(("prompt", "context_management", "moderation", "access_programs", "image"))
"""Ask for what a chat server does not have."""

CHATS_OWN: Final = frozenset(
    (
        *("messages", "n", "max_tokens", "max_completion_tokens", "response_format", "reasoning_effort", "verbosity"),
        *("logprobs", "functions", "function_call"),
    )
)
"""Fields of chat that a Responses request has other words for, or none."""


_NOT_KEPT: Final = TRANSLATED | LEFT_OUT | REFUSED


class _Reasoning(msgspec.Struct):
    effort: str | None = None
    mode: str | None = None


_decode_reasoning: Final = msgspec.json.Decoder(_Reasoning | None).decode
_decode_include: Final = msgspec.json.Decoder(list[str] | None).decode
_encode: Final = msgspec.json.Encoder().encode


def outgoing(call: Call, served_model: str, served_model_json: bytes, extra: Mapping[str, bytes]) -> bytes:
    """The body of the chat request; a stream is asked to state its usage. Raises InvalidRequest."""
    fields = call.fields
    _refuse(fields)
    chat: dict[str, object] = {
        "messages": responses_items.messages(fields.get("instructions", _NULL), fields.get("input", _NULL)),
        **responses_tools.tools(fields.get("tools", _NULL), fields.get("tool_choice", _NULL)),
        **responses_tools.text(fields.get("text", _NULL)),
        **_reasoning(fields.get("reasoning", _NULL)),
        **_logprobs(fields),
    }
    longest = wire_body.whole_number(fields, "max_output_tokens", 1)
    if longest is not None:
        chat["max_completion_tokens"] = longest
    if "tools" in chat and fields.get("parallel_tool_calls", _NULL) != _NULL:
        chat["parallel_tool_calls"] = wire_body.flag(fields, "parallel_tool_calls")
    if call.stream:
        chat["stream_options"] = {"include_usage": True}
    if served_model != call.alias:
        chat["model"] = msgspec.Raw(served_model_json)
    kept = {name: raw for name, raw in fields.items() if name not in _NOT_KEPT}
    return _encode(kept | chat | {name: msgspec.Raw(value) for name, value in extra.items()})


def _refuse(fields: Fields) -> None:
    for name, raw in fields.items():
        if name in CHATS_OWN:
            raise InvalidRequest(f"{name} is a field of chat completions, not of responses", param=name)
        if name in REFUSED and raw != _NULL:
            raise InvalidRequest(f"{name} is more than this model's server can do; leave it out", param=name)
    if wire_body.text(fields, "truncation", 64) not in (None, "disabled"):
        raise InvalidRequest(
            "this model's server does not shorten the input; leave truncation out, or make it disabled",
            param="truncation",
        )


def _reasoning(given: msgspec.Raw) -> dict[str, object]:
    """A summary of the reasoning is nobody's to give here: what the model thought comes as it is."""
    asked = wire_body.typed(_decode_reasoning, given, "reasoning")
    if asked is None:
        return {}
    if asked.mode not in (None, "standard"):
        raise InvalidRequest("reasoning.mode can only be standard for this model", param="reasoning.mode")
    return {} if asked.effort is None else {"reasoning_effort": asked.effort}


def _logprobs(fields: Fields) -> dict[str, object]:
    """Asked for by `include`; what else that can name belongs to tools and items that are not here, and comes to
    nothing.
    """
    if _LOGPROBS not in (wire_body.typed(_decode_include, fields.get("include", _NULL), "include") or ()):
        return {}
    return {"logprobs": True, "top_logprobs": wire_body.whole_number(fields, "top_logprobs", 0) or 0}

"""The Response object: the request's own fields said again, the items of the output, how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.wire.body import Fields
from gateway.wire.call import Call
from gateway.wire.chat_chunks import Head
from gateway.wire.responses import usage as responses_usage
from gateway.wire.usage import Usage

Json = dict[str, Any]

_NULL: Final = msgspec.Raw(b"null")
_DEFAULTS: Final[Json] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": "default",
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
    "metadata": {},
}
"""The request's fields that an answer repeats, and what they are when they were not sent; the sampling that a model's
server does by itself is not known here.
"""

_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}
_ID_PREFIX: Final = "chatcmpl-"


class Ids:
    """The ids of one answer and of its items, made from the backend's id of it: none of them can be asked for again."""

    __slots__ = ("_stem",)

    def __init__(self, head: Head) -> None:
        self._stem = head.id.removeprefix(_ID_PREFIX) or "unnamed"

    @property
    def response(self) -> str:
        """The answer's."""
        return f"resp_{self._stem}"

    def item(self, prefix: str, index: int) -> str:
        """That of an item of the output, or of a call that the backend gave none."""
        return f"{prefix}_{self._stem}_{index}"


def echo(fields: Fields) -> Json:
    """What every state of this request's answer says again. Nothing is stored, whatever the request says."""
    said = {name: raw for name in _DEFAULTS if (raw := fields.get(name, _NULL)) != _NULL}
    return {**_DEFAULTS, **said, "background": False, "previous_response_id": None, "store": False}


def response(
    call: Call,
    echoed: Json,
    head: Head,
    output: Sequence[Json] = (),
    finish_reason: str | None = None,
    usage: Usage | None = None,
) -> Json:
    """The object; in progress while there is no `finish_reason` (chat's word) yet."""
    why = incomplete(finish_reason)
    status = "in_progress" if finish_reason is None else "completed" if why is None else "incomplete"
    return {
        "id": Ids(head).response,
        "object": "response",
        "created_at": head.created,
        "status": status,
        "error": None,
        "incomplete_details": None if why is None else {"reason": why},
        "model": call.alias,
        "output": output,
        "usage": responses_usage.to_counts(usage),
        **echoed,
    }


def incomplete(finish_reason: str | None) -> str | None:
    """Why an answer that ended so is not whole; None when it is."""
    return None if finish_reason is None else _INCOMPLETE.get(finish_reason)


def reasoning(item_id: str, text: str | None, status: str) -> Json:
    """A reasoning item; one that has just begun (None) has no content."""
    content = [] if text is None else [{"type": "reasoning_text", "text": text}]
    return {"id": item_id, "type": "reasoning", "summary": [], "content": content, "status": status}


def message(item_id: str, content: list[Json], status: str) -> Json:
    """A message of the model."""
    return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": content}


def output_text(text: str, logprobs: list[msgspec.Raw]) -> Json:
    """A message's text."""
    return {"type": "output_text", "annotations": [], "logprobs": logprobs, "text": text}


def function_call(item_id: str, call_id: str, name: str, arguments: str, status: str) -> Json:
    """A call of one of the caller's functions; `arguments` is JSON as text."""
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }

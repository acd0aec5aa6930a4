"""Which strings of a request are texts, and which are names, addresses and media: nothing that a check could read.

A string counts as a text unless its member's name says otherwise and the string looks like it. So what is said in a
place that is made for something else is checked all the same.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Final


class Kind(Enum):
    TEXT = auto()
    OTHER = auto()
    HIDDEN = auto()
    """A text that no check can read: a file of text in base64."""


NAMES: Final = frozenset(
    (
        *("role", "type", "object", "name", "tool_name", "model", "format", "media_type", "mime_type", "encoding"),
        *("id", "call_id", "tool_call_id", "tool_use_id", "item_id", "file_id", "container_id", "connector_id"),
        *("tool_id", "caller_id", "reference_id", "skill_id", "file_ids", "vector_store_ids", "tool_names"),
        *("mcp_server_name", "error_code", "file_type", "search_context_size"),
        *("approval_request_id", "previous_response_id", "uuid", "server_label", "server_name", "status", "phase"),
        *("detail", "effort", "reasoning_effort", "verbosity", "mode", "ttl", "voice", "finish_reason", "stop_reason"),
        *("required", "allowed_tools", "$ref", "$schema"),
    )
)
"""Members whose strings are words of a format or names given to things, when they look like such."""

MEDIA: Final = frozenset(
    (
        *("url", "image_url", "audio_url", "video_url", "file_url", "server_url", "$id"),
        *("data", "file_data", "b64_json", "image", "result", "image_embeds", "audio_embeds"),
        *("encrypted_content", "encrypted_index", "encrypted_stdout", "signature", "thought_signature"),
    )
)
"""Members whose strings are addresses, media, or sealed by who made them, when they look like such."""

KEYS: Final = frozenset(("authorization", "Authorization", "authorization_token"))
"""Members that hold what a server of tools is to be opened with."""

MAYBE_OTHER: Final = NAMES | MEDIA | KEYS
"""Under any other member, a string is a text."""

_COMMON: Final = frozenset(
    (
        *("user", "assistant", "system", "developer", "tool", "function", "text", "message", "ephemeral"),
        *("object", "string", "number", "integer", "boolean", "array", "null"),
        *("input_text", "output_text", "image_url", "tool_use", "tool_result", "function_call", "function_call_output"),
    )
)
_name: Final = re.compile(r"[0-9A-Za-z_.:/#$-]{1,256}").fullmatch
_member: Final = re.compile(r"[A-Za-z_$][0-9A-Za-z_.-]{0,63}").fullmatch
_data_url: Final = re.compile(
    r"data:([0-9a-z.+-]+/[0-9a-z.+-]+)?(?:;[0-9a-z_.=-]{1,99}){0,9};base64,", re.IGNORECASE
).match
_address: Final = re.compile(r"https?://[!-~]{1,4096}").fullmatch
_key: Final = re.compile(r"(?:(?:Basic|Bearer) )?[!-~]{1,4096}").fullmatch
_textual: Final = re.compile(r"text/|application/(?:[a-z.-]+\+)?(?:json|xml|yaml|x-yaml)\Z", re.IGNORECASE).match
_base64: Final = re.compile(r"[0-9A-Za-z+/_\r\n-]{60,}+={0,4}\s*").fullmatch

_LOOKED_AT: Final = 4_096
"""So many characters of what may be base64: an image has millions, and prose shows itself at once."""


def kind_of(under: str, value: str) -> Kind:
    """What a string is that stands under a member of this name."""
    if under in NAMES:
        return Kind.OTHER if value in _COMMON or _name(value) else Kind.TEXT
    if under in MEDIA:
        return _media(value)
    if under in KEYS and _key(value):
        return Kind.OTHER
    return Kind.TEXT


def is_plain(member: str) -> bool:
    """Whether a member's name is one as programs have them, and no text."""
    return _member(member) is not None


def _media(value: str) -> Kind:
    data = _data_url(value)
    if data is not None:
        return Kind.HIDDEN if data[1] is None or _textual(data[1]) else Kind.OTHER
    if _address(value):
        return Kind.OTHER
    if value.isascii() and " " not in value and _base64(value[:_LOOKED_AT]):
        return Kind.OTHER
    return Kind.TEXT

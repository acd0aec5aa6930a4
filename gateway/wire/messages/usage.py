"""The usage Anthropic's format states, from and to our disjoint classes of tokens.

There `input_tokens` leaves out what was read from and what was written to a prompt cache. Ours are two: read from it,
and all other input, so tokens that filled the cache count as input. `output_tokens` includes thinking.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.wire.usage import MAX_TOKENS, Usage

Counts = dict[str, Any]

_NAMES: Final = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


class _Holder(msgspec.Struct, gc=False):
    usage: Counts | None = None


class _Event(msgspec.Struct, gc=False):
    usage: Counts | None = None
    message: _Holder | None = None


_decode: Final = msgspec.json.Decoder(_Event).decode


def from_answer(body: bytes) -> Usage | None:
    """The usage of a whole message; None when it states none that can be believed."""
    return from_counts(stated(body))


def stated(payload: bytes) -> Counts:
    """The counts of a whole message, of a `message_start` or of a `message_delta`, as they stand; none of any other."""
    try:
        found = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    held = found.message if found.usage is None and found.message is not None else found
    return {name: value for name, value in (held.usage or {}).items() if value is not None}


def from_counts(counts: Counts) -> Usage | None:
    """Disjoint classes. A stream states its counts in parts: later ones replace earlier ones of the same name."""
    read, written = (_believed(counts.get(name)) or 0 for name in _NAMES[1:3])
    fresh, output = _believed(counts.get("input_tokens")), _believed(counts.get("output_tokens"))
    if fresh is None or output is None:
        return None
    details = counts.get("output_tokens_details")
    thinking = _believed(details.get("thinking_tokens")) if isinstance(details, dict) else None
    if thinking is None or thinking > output:
        thinking = 0
    return Usage(fresh + written, read, output - thinking, thinking)


def to_counts(usage: Usage | None) -> Counts:
    """What an Anthropic message says of it; zeros when nothing is known, since the format always states counts."""
    if usage is None:
        return dict.fromkeys(_NAMES, 0)
    counts: Counts = {
        "input_tokens": usage.input_tokens,
        "cache_read_input_tokens": usage.cached_input_tokens,
        "cache_creation_input_tokens": 0,
        "output_tokens": usage.output_tokens + usage.reasoning_tokens,
    }
    if usage.reasoning_tokens:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return counts


def _believed(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_TOKENS else None

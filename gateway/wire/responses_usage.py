"""The usage the Responses API states, from and to our disjoint classes of tokens."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.wire.usage import Usage, disjoint


class _Answer(msgspec.Struct, gc=False):
    usage: dict[str, Any] | None = None


_decode: Final = msgspec.json.Decoder(_Answer).decode


def from_answer(body: bytes) -> Usage | None:
    """The usage of a whole answer (of any endpoint that counts in `input_tokens` and `output_tokens`); None when it
    states none that can be believed.
    """
    try:
        return from_counts(_decode(body).usage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def from_counts(counts: dict[str, Any] | None) -> Usage | None:
    """The same of its `usage`."""
    if counts is None:
        return None
    asked, said = counts.get("input_tokens_details"), counts.get("output_tokens_details")
    return disjoint(
        counts.get("input_tokens"),
        counts.get("output_tokens"),
        asked.get("cached_tokens") if isinstance(asked, dict) else None,
        said.get("reasoning_tokens") if isinstance(said, dict) else None,
    )


def to_counts(usage: Usage | None) -> dict[str, Any] | None:
    """What a Response says of it. Nothing that is translated writes to a cache at a price."""
    if usage is None:
        return None
    asked = usage.input_tokens + usage.cached_input_tokens
    said = usage.output_tokens + usage.reasoning_tokens
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": usage.cached_input_tokens, "cache_write_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": asked + said,
    }

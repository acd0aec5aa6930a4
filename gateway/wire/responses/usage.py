"""The usage the Responses API states, from and to our disjoint classes of tokens."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.wire import usage
from gateway.wire.usage import Usage


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
    return None if counts is None else usage.from_counts(counts, "input", "output")


def to_counts(tokens: Usage | None) -> dict[str, Any] | None:
    """What a Response says of it. Nothing that is translated writes to a cache at a price."""
    if tokens is None:
        return None
    asked = tokens.input_tokens + tokens.cached_input_tokens
    said = tokens.output_tokens + tokens.reasoning_tokens
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": tokens.cached_input_tokens, "cache_write_tokens": 0},
        "output_tokens": said,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning_tokens},
        "total_tokens": asked + said,
    }

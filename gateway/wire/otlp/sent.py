"""A span as an agent sent it, whatever the form it came in, and what is taken at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

MAX_BYTES: Final = 8 * 2**20
"""Of a request, once it is unfolded. OpenTelemetry's SDKs send at most 512 spans at once."""
MAX_SPANS: Final = 8_192
"""Of a request."""
MAX_SPAN_BYTES: Final = 2**20
MAX_DEPTH: Final = 32
"""Of arrays and maps in one another, in the value of an attribute."""
MAX_ATTRIBUTES: Final = 128
"""Kept of a span; and of events as many."""

Value: TypeAlias = str | bool | int | float | tuple[str, ...]
Attributes: TypeAlias = Mapping[str, Value]
Texts: TypeAlias = Callable[[str], bool]
"""Whether the attribute of this name is kept where it is a text, or a list of texts."""

KINDS: Final = ("", "internal", "server", "client", "producer", "consumer")
"""By OTLP's numbers."""
ERROR: Final = 2
"""The status of a span that failed."""


class SentEvent(NamedTuple):
    """Something at one moment of a span."""

    name: str
    at_ns: int
    attributes: Attributes


class SentSpan(NamedTuple):
    """Times are nanoseconds since the Unix epoch, ids hexadecimal digits in lower case. Of attributes there are only
    those that are kept: numbers, and texts of names that were asked for."""

    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the root of a trace."""
    name: str
    kind: str
    """One of `KINDS`."""
    start_ns: int
    end_ns: int
    error: bool
    attributes: Attributes
    left_out: int
    """How many of its attributes are not kept."""
    events: tuple[SentEvent, ...]
    resource: Attributes
    scope: str
    """The library that made it."""


class Counts(NamedTuple):
    """What a request holds: spans that are taken, and those that no one could ever find again."""

    taken: int
    rejected: int


def kind_of(number: int) -> str:
    """OTLP's kind as a word; empty for one that is not known."""
    return KINDS[number] if 0 <= number < len(KINDS) else ""

"""A span as plain values, in OpenTelemetry's terms. What makes them of records is `store.record_spans`, what sends them
`runtime.exporter`.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple, TypeAlias

Value: TypeAlias = str | bool | int | float | tuple[str, ...]
Attributes: TypeAlias = dict[str, Value]


class Kind(Enum):
    """OpenTelemetry's kinds of spans that we have."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"


class Event(NamedTuple):
    """Something at one moment of a span."""

    name: str
    at_ns: int
    attributes: Attributes


class Span(NamedTuple):
    """One span that has ended. Times are nanoseconds since the Unix epoch, ids hexadecimal digits."""

    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the root of a trace."""
    start_ns: int
    end_ns: int
    attributes: Attributes
    error: bool = False
    """Status ERROR, else UNSET: the conventions leave OK to the operator."""
    events: tuple[Event, ...] = ()

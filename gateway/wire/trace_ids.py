"""The ids of traces and spans, cut out of a request's id: nothing is drawn, hashed or kept for them.

A request's id (`store.ids.RequestIds`) is `req_`, 12 digits of milliseconds, 10 of its worker's random, 8 of a counter.
Whoever has the record has the ids of its spans, so that what a backend said of its own work joins them.
"""

from __future__ import annotations

from typing import Final

_BYTES: Final = tuple([f"{number:02x}" for number in range(256)])
_GOLDEN: Final = 0x9E3779B1
"""2³² over the golden ratio. Multiples of it, cut to 32 bits, spread evenly however few of them one takes and whatever
their rhythm (Knuth, The Art of Computer Programming 3, 6.4): a share of the traces is a share of each caller's."""

EVERY: Final = "g"
"""The `below` of a share of 100 %: behind every hexadecimal digit."""


def below(share: float) -> str:
    """What the sampled digits of a trace id must stand before, for that share of the traces (0 to 1)."""
    return EVERY if share >= 1 else f"{int(share * 2**16):04x}"


def sampled(trace: str, limit: str) -> bool:
    """Whether a trace of ours is among the share that `below` made `limit` of."""
    return trace[16:20] < limit


def trace_of(request_id: str) -> str:
    """The trace of a request whose caller named none: 32 hexadecimal digits, of which the 17th to the 20th are the
    sampled ones."""
    # 30 bits of the counter, so that compiled the product needs no large number.
    mixed = (int(request_id[26:34], 16) & 0x3FFFFFFF) * _GOLDEN
    high, low = _BYTES[mixed >> 24 & 255], _BYTES[mixed >> 16 & 255]
    return f"{request_id[4:20]}{high}{low}{request_id[26:34]}{request_id[20:24]}"


def requests_of(trace: str) -> tuple[str, ...]:
    """The ids of requests whose trace `trace_of` may have made this one: two of an id's digits are not in it."""
    return tuple([f"req_{trace[:16]}{trace[28:32]}{two}{trace[20:28]}" for two in _BYTES])


def server_span(request_id: str) -> str:
    """The request as the gateway serves it: 16 hexadecimal digits."""
    return request_id[18:34]


def attempt_span(request_id: str, number: int) -> str:
    """Its attempt of this number, from 1."""
    return request_id[20:34] + _BYTES[number & 255]


def passed_on(traceparent: str, request_id: str, number: int, limit: str) -> str:
    """The `traceparent` of an attempt: in the caller's trace and with its flags, where it sent one; else in our own,
    sampled as `limit` says.
    """
    span = attempt_span(request_id, number)
    if traceparent:
        return f"{traceparent[:36]}{span}{traceparent[52:]}"
    trace = trace_of(request_id)
    return f"00-{trace}-{span}-01" if sampled(trace, limit) else f"00-{trace}-{span}-00"

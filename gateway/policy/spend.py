"""What tokens cost: exact integers, rounded once per charge, half to even.

A token's price is whole atto-dollars (10⁻¹⁸ USD), a charge whole nano-dollars (10⁻⁹ USD). No float is ever met.
"""

from __future__ import annotations

from typing import Final

from gateway.config.snapshot_meters import Price
from gateway.wire.usage import MAX_TOKENS, Usage

MAX_NANOS: Final = 2**62
"""No charge is more than this (4.6 billion dollars), so that a record holds it in 64 bits: a backend's usage may be
absurd."""

_ATTO: Final = 10**9
"""Atto-dollars in a nano-dollar."""
_HALF: Final = _ATTO // 2


def charge(price: Price, usage: Usage) -> int:
    """Nano-dollars for the tokens of one request, and for the request itself."""
    nanos, rest = divmod(
        usage.input_tokens * price.input
        + usage.cached_input_tokens * price.cached_input
        + usage.output_tokens * price.output
        + usage.reasoning_tokens * price.reasoning,
        _ATTO,
    )
    if rest > _HALF or (rest == _HALF and nanos & 1):
        nanos += 1
    nanos += price.request
    return nanos if nanos < MAX_NANOS else MAX_NANOS


def bound(price: Price, input_tokens: int, output_tokens: int) -> int:
    """Nano-dollars that no request with at most so many tokens can exceed: each token at its dearest class, rounded
    up. Input counts cached tokens too, output reasoning."""
    dear_in = price.input if price.input > price.cached_input else price.cached_input
    dear_out = price.output if price.output > price.reasoning else price.reasoning
    nanos = price.request - (input_tokens * dear_in + output_tokens * dear_out) // -_ATTO
    return nanos if nanos < MAX_NANOS else MAX_NANOS


def affordable_output(price: Price, input_tokens: int, nanos: int) -> int:
    """The most tokens of output for which `bound` stays within `nanos`; 0 also where not even the input does, and
    `usage.MAX_TOKENS` where output costs nothing."""
    dear_in = price.input if price.input > price.cached_input else price.cached_input
    dear_out = price.output if price.output > price.reasoning else price.reasoning
    room = (nanos - price.request) * _ATTO - input_tokens * dear_in
    if room < 0:
        return 0
    if dear_out == 0:
        return MAX_TOKENS
    tokens = room // dear_out
    return tokens if tokens < MAX_TOKENS else MAX_TOKENS


def cheaper(one: Price | None, other: Price) -> bool:
    """Whether nothing costs more with one price than with the other, and something less; a price that nobody knows is
    not cheaper."""
    if one is None:
        return False
    pairs = [(getattr(one, name), getattr(other, name)) for name in Price.__struct_fields__]
    return all(left <= right for left, right in pairs) and any(left < right for left, right in pairs)

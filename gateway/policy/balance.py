"""Which endpoint of a backend takes a request.

Least outstanding requests, ties broken by a draw. A request of a known conversation goes to the endpoint that has its
cache: rendezvous hashing (Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998), with
bounded load (Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", arXiv:1608.01350): an
endpoint that already has more than its share passes the request to the next in the conversation's own order, so
stickiness cannot overload a replica, and an endpoint that comes or goes moves only the conversations that were its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

LOAD_FACTOR: Final = 1.25
"""A sticky endpoint may hold this many times the mean load (the paper's 1 + ε; its bound on moved requests falls with
ε²).
"""

FREE_LOAD: Final = 4
"""Up to here an endpoint counts as free whatever the mean: at low load the bound would otherwise scatter a conversation
over idle replicas.
"""

_MASK: Final = 2**64 - 1


class EndpointView:
    """What a choice looks at; the owner keeps one per endpoint and updates it."""

    __slots__ = ("available", "index", "name", "outstanding", "weight_hash")

    def __init__(self, index: int, name: str, outstanding: int, available: bool, weight_hash: int) -> None:
        self.index: Final = index
        self.name: Final = name
        self.outstanding = outstanding
        """Requests sent and not yet ended."""
        self.available = available
        """In service: its circuit lets a request through."""
        self.weight_hash: Final = weight_hash
        """`weight_hash(name)`."""


class Choice:
    """An endpoint's index, and why: "only", "least_outstanding", "sticky", "sticky_overflow" or "kept"."""

    __slots__ = ("index", "reason")

    def __init__(self, index: int, reason: str) -> None:
        self.index: Final = index
        self.reason: Final = reason


ONLY: Final = "only"
LEAST: Final = "least_outstanding"
_FIRST: Final = Choice(0, ONLY)


def weight_hash(name: str) -> int:
    """An endpoint's own 64 bits, from its name, so that every worker and every restart agrees."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def choose(
    endpoints: Sequence[EndpointView], sticky: bytes | None, tried: frozenset[int], draw: float
) -> Choice | None:
    """The endpoint for one attempt, None when none is left; `draw` is uniform in [0, 1), `tried` holds indices not to
    be taken again.

    O(n), deterministic in its arguments: the same loads and draw give the same choice again.
    """
    if len(endpoints) == 1:
        return _FIRST if endpoints[0].available and 0 not in tried else None
    free = [endpoint for endpoint in endpoints if endpoint.available and endpoint.index not in tried]
    if not free:
        return None
    if len(free) == 1:
        return Choice(free[0].index, "only")
    if sticky is not None:
        return _stick(free, sticky)
    least = min([endpoint.outstanding for endpoint in free])
    ties = [endpoint for endpoint in free if endpoint.outstanding == least]
    return Choice(ties[int(draw * len(ties))].index, LEAST)


def pinned(endpoint: EndpointView, tried: frozenset[int]) -> Choice | None:
    """The one endpoint that can answer, if it is in service and not yet tried."""
    return Choice(endpoint.index, "kept") if endpoint.available and endpoint.index not in tried else None


def _stick(free: list[EndpointView], sticky: bytes) -> Choice:
    key = int.from_bytes(sticky[:8], "little")
    total = sum([endpoint.outstanding for endpoint in free]) + 1  # with the request to be placed
    limit = max(FREE_LOAD, -int(-LOAD_FACTOR * total // len(free)))  # rounded up, so at least one endpoint is below it
    best = preferred = -1
    best_score = preferred_score = -1
    for endpoint in free:
        score = _score(key ^ endpoint.weight_hash)
        if score > preferred_score:
            preferred_score, preferred = score, endpoint.index
        if score > best_score and endpoint.outstanding < limit:
            best_score, best = score, endpoint.index
    return Choice(best, "sticky" if best == preferred else "sticky_overflow")


def _score(bits: int) -> int:
    """64 bits, well mixed (the finaliser of MurmurHash3): a plain product would order endpoints by their names' high
    bits.
    """
    bits = (bits ^ (bits >> 33)) * 0xFF51AFD7ED558CCD & _MASK
    bits = (bits ^ (bits >> 33)) * 0xC4CEB9FE1A85EC53 & _MASK
    return bits ^ (bits >> 33)

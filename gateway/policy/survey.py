"""Looks over all buckets that a store of meters holds: how many there are of a kind, how many are nearly used up, and
which will never be asked for again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from gateway.config.snapshot_meters import Window
from gateway.config.units_money import CALENDAR
from gateway.policy import authority, windows
from gateway.policy.authority import BucketState

GRACE_NS: Final = 2 * 86_400 * 10**9
"""A bucket is kept so long after its window ended: longer than any request runs, or a clock is wrong."""
NEARLY: Final = 95
"""Per cent of the cap from which on a bucket counts as nearly used up."""


class Kind(NamedTuple):
    """Both are closed sets."""

    level: str
    """gateway, tenant, project, key or model."""
    quantity: str


class Survey(NamedTuple):
    """What was found."""

    buckets: dict[Kind, int]
    nearly_used_up: dict[Kind, int]
    over: list[str]
    """Keys of buckets that can go."""
    owners: set[str]
    """Who has a lease of one of the others."""


def survey(states: Mapping[str, bytes], now_ns: int) -> Survey:
    """Of stored states, by key. What cannot be read is counted, and kept."""
    found = Survey({}, {}, [], set())
    for key, raw in states.items():
        try:
            state = authority.decode(raw)
        except msgspec.DecodeError:
            state = BucketState()
        else:
            if is_over(key, state, now_ns):
                found.over.append(key)
                continue
        found.owners.update(state.leases)
        name, _, rest = key.partition("|")
        kind = Kind(name.partition(":")[0].partition(".")[0], rest.partition("|")[0])
        found.buckets[kind] = found.buckets.get(kind, 0) + 1
        if state.cap and state.used(now_ns // 10**9) * 100 >= state.cap * NEARLY:
            found.nearly_used_up[kind] = found.nearly_used_up.get(kind, 0) + 1
    return found


def is_over(key: str, state: BucketState, now_ns: int) -> bool:
    """Whether nobody will ever miss the bucket: its window ended a while ago and nothing of it is leased; or it holds
    nothing, and nobody has a lease of it."""
    _, _, name, instance = [*key.split("|"), "", "", ""][:4]
    kind, _, zone = name.partition("@")
    if kind in CALENDAR:
        # A live owner may still have a lease of it, with nothing left to spend: it has forgotten it, too.
        window = Window(kind, zone=zone or "UTC")  # type: ignore[arg-type]  # it is one of them
        return state.leased() <= 0 and instance < windows.instance(window, now_ns - GRACE_NS)
    if kind == "lifetime" or state.leases:
        return False
    newest_s = (max(state.slots, default=0) + 1) * state.slot_s
    return not state.window_s or newest_s + state.window_s < (now_ns - GRACE_NS) // 10**9

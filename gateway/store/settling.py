"""Gives back what a dead worker had leased: what its journal says it spent counts as spent, the rest is free again.

A worker tells its leases up to a place in its journal. What it spent after that place is read there: requests where
they were opened, tokens and money where they were closed, and of requests that never ended what they held at last.
Where the journal cannot say (it is damaged, a part of it or the configuration it refers to is gone), all that the
worker could have spent counts as spent: never too little.

What a worker had sent to the store before it died may be done a moment after: a server that was slow, or stood still,
does it then. So a lease ends only as it was when its journal was read on from there, and is looked for until none is
left; what comes later still is found by who looks over all buckets (`policy.survey`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeAlias

import msgspec

from gateway.clock import Clock
from gateway.config.snapshot_meters import REQUESTS, Meter
from gateway.policy import authority, windows
from gateway.policy.authority import Lease, Spends
from gateway.policy.meters import FELL_BACK, Row, spent_of
from gateway.policy.survey import is_over
from gateway.store.journal_follow import Follower, Position
from gateway.store.journal_read import segment_numbers
from gateway.store.layout import CLOSED, HELD, OPENED, RECOVERED
from gateway.store.meters import MeterStore
from gateway.store.records import Opened, Record

SECOND_NS: Final = 1_000_000_000
AT_ONCE: Final = 256
"""Buckets in one update."""


class Buckets(Protocol):
    """Finds the buckets of a record: `policy.meters.Directory`."""

    def keys_of(self, row: Row) -> list[tuple[str, Meter]]: ...


Directories: TypeAlias = Callable[[str], Buckets | None]
"""The buckets under a configuration of this digest; None where that is not there any more."""


async def leases_of(store: MeterStore, owner: str) -> dict[str, Lease]:
    """What an owner has leased, by key. Raises MeterStoreDown."""
    mark = owner.encode()
    found: dict[str, Lease] = {}
    for key, raw in (await store.scan()).items():
        if mark in raw:  # decoding them all would take a hundred times as long
            state = _state(raw)
            if state is not None and owner in state.leases:
                found[key] = state.leases[owner]
    return found


async def settle(store: MeterStore, owner: str, journal: Path, directories: Directories, clock: Clock) -> int:
    """Ends all leases of the owner that wrote `journal`, which is dead and recovered; returns how many there were.
    May be done again. Raises MeterStoreDown, OSError."""
    ended: set[str] = set()
    while leases := await leases_of(store, owner):
        ended.update(leases)
        spends = await asyncio.to_thread(spent_after, journal, leases, directories, clock.wall_ns())
        await end(store, owner, spends, clock, leases)
    return len(ended)


async def end(
    store: MeterStore,
    owner: str,
    spends: Mapping[str, Spends | None],
    clock: Clock,
    told: Mapping[str, Lease] | None = None,
) -> None:
    """Ends an owner's leases of these buckets: what is named is spent; None: all that it still could spend. A lease
    that is not as in `told` any more is left: of it something else was spent. Raises MeterStoreDown."""

    def change(key: str, raw: bytes | None) -> tuple[bytes | None, None]:
        state = _state(raw)
        if state is None or owner not in state.leases or (told is not None and state.leases[owner] != told[key]):
            return raw, None
        now_s = clock.wall_ns() // SECOND_NS
        spent = spends[key]
        if spent is None:
            spent = [(now_s // state.slot_s if state.slot_s else 0, state.leases[owner].unspent)]
        authority.settle_dead(state, owner, spent, now_s)
        return authority.encode(state), None

    keys = list(spends)
    for first in range(0, len(keys), AT_ONCE):
        # It grants nothing, so that a store that is not reconciled may do it too.
        await store.update(keys[first : first + AT_ONCE], change, restating=True)


async def drop(store: MeterStore, keys: Sequence[str], clock: Clock) -> None:
    """Drops buckets whose windows are over, if they still are. Raises MeterStoreDown."""

    def change(key: str, raw: bytes | None) -> tuple[bytes | None, None]:
        state = _state(raw)
        return (raw if state is None or not is_over(key, state, clock.wall_ns()) else None), None

    for first in range(0, len(keys), AT_ONCE):
        await store.update(keys[first : first + AT_ONCE], change)


def spent_after(
    journal: Path, leases: Mapping[str, Lease], directories: Directories, now_ns: int
) -> Mapping[str, Spends | None]:
    """For each lease what was spent after its position, at most what it could still spend; None where nobody can say.
    Raises OSError."""
    begin = min(Position(lease.segment, lease.offset) for lease in leases.values())
    first = next(iter(segment_numbers(journal)), None)
    follower = Follower(journal, begin)
    count = _Count(leases, directories, now_ns)
    try:
        for piece in follower.pieces():
            for position, kind, payload in piece.placed():
                if not count.add(position, kind, payload):
                    return dict.fromkeys(leases)
        # Of what it never told, something is not there any more.
        lost = not journal.exists() if first is None else first > max(1, begin.segment)
        return dict.fromkeys(leases) if lost or follower.damaged else count.spends
    finally:
        follower.close()


class _Count:
    """Adds up what was spent of each lease."""

    def __init__(self, leases: Mapping[str, Lease], directories: Directories, now_ns: int) -> None:
        self.spends: dict[str, list[tuple[int, int]]] = {key: [] for key in leases}
        self._left = {key: lease.unspent for key, lease in leases.items()}
        self._leases = leases
        self._directories = directories
        self._now_ns = now_ns

    def add(self, position: Position, kind: int, payload: bytes) -> bool:
        """Counts an entry; False where nobody can say whose it is."""
        try:
            row, amounts = self._read(kind, payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False
        if not any(amounts):
            return True
        buckets = self._directories(row.snapshot)
        if buckets is None:
            return False
        found = buckets.keys_of(row)
        if kind == HELD:  # it was opened for the models before the last
            before = dict(buckets.keys_of(msgspec.structs.replace(row, action=row.action.rpartition(FELL_BACK)[0])))
            found = [(key, meter) for key, meter in found if key not in before]
        for key, meter in found:
            lease = self._leases.get(key)
            amount = amounts[meter.quantity]
            if lease is not None and amount and position > (lease.segment, lease.offset):
                amount = min(amount, self._left[key])
                self._left[key] -= amount
                # Of rolling windows it counts as spent now: a record's time is of a clock that may have jumped since.
                slot = windows.slot(meter.window, self._now_ns) if meter.window.slot_s else 0
                self.spends[key].append((slot, amount))
        return True

    def _read(self, kind: int, payload: bytes) -> tuple[Record | Opened, Sequence[int]]:
        """Whose it is, and the amounts by quantity."""
        if kind in (OPENED, HELD):
            opened = _decode_opened(payload)
            return opened, _ONE_REQUEST if kind == OPENED or opened.moved else _NOTHING
        record = _decode_record(payload)
        amounts = list(spent_of(record))
        if kind in (CLOSED, RECOVERED):
            amounts[REQUESTS] = 0  # counted when it was opened
        return record, amounts


_ONE_REQUEST: Final = (1, 0, 0, 0, 0)
_NOTHING: Final = (0, 0, 0, 0, 0)
_decode_opened: Final = msgspec.msgpack.Decoder(Opened).decode
_decode_record: Final = msgspec.msgpack.Decoder(Record).decode


def _state(raw: bytes | None) -> authority.BucketState | None:
    """None for what is not there, and for what cannot be read: of that nothing is granted either."""
    try:
        return None if raw is None else authority.decode(raw)
    except msgspec.DecodeError:
        return None

"""What a store holds of one bucket, and what one owner's report does to it. Pure; every meter store uses only this.

A bucket is one meter's sum for one subject and window. Owners (workers) take slices of it as leases and spend them in
their own memory. All numbers of a lease only grow and are told whole each time, so a report may arrive twice, and a
reply may be lost: the next exchange says it again. A lease never ends with time: what a dead owner had counts as spent
until its journal was read (`settle_dead`).

**What was settled in the window and what is leased and not yet spent is never more than the cap**, after every
exchange that granted something. A cap that was lowered grants nothing until there is room.

Rolling windows are kept in slots of `slot_s` seconds. A slot counts until its end has left the window, so what was
spent counts up to one slot too long, and never too short.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Struct

SHARE: Final = 8
"""A slice taken ahead is at most this part of what is left, so slices shrink as the cap nears."""
MOST_SLOTS: Final = 128
"""Slots that left the window are only dropped beyond so many: a clock that jumps ahead and back finds them again."""
MOST_GRANTED: Final = 2**63
"""No lease's sum of grants goes beyond, so that every number fits 64 bits. What was granted and returned is forgotten
when an owner begins anew with a bucket, so none comes near it."""
REARM: Final = 10
"""A threshold is told again once what is used has fallen by one part in so many below it."""

Spends: TypeAlias = Sequence[tuple[int, int]]
"""(slot, amount), in the order they were spent. The slot of a window that does not roll is 0."""


class Lease(Struct, array_like=True):
    """One owner's part of a bucket: sums since it began. What it may still spend is granted − spent − returned."""

    granted: int = 0
    spent: int = 0
    returned: int = 0
    segment: int = 0
    offset: int = 0
    """The position in the owner's journal up to which `spent` is told."""
    life: int = 0
    """Which of the owner's lives with this bucket it is of: it dropped the bucket and began anew in between, and had
    given back everything then."""

    @property
    def unspent(self) -> int:
        """What the owner may still spend: held by requests that run, or in its pocket."""
        return self.granted - self.spent - self.returned


class BucketState(Struct, array_like=True):
    """All that is kept of a bucket. Stored as a MessagePack array in this order: fields are only ever appended."""

    settled: int = 0
    """Everything ever spent. For windows that do not roll this is what is used of the cap."""
    slots: dict[int, int] = {}  # msgspec copies an empty default for each instance
    """What was spent, by slot, of a rolling window."""
    leases: dict[str, Lease] = {}
    """By owner."""
    retired: dict[str, int] = {}
    """The part of `settled` that dead owners had spent, by STATE_ID."""
    cap: int = 0
    """As last seen."""
    window_s: int = 0
    slot_s: int = 0
    """Of a rolling window; 0 for others."""
    warned: int = 0
    """The highest amount whose crossing was told."""

    def used(self, now_s: int) -> int:
        """What was spent in the window that ends now. `now_s`: wall time in seconds."""
        if not self.window_s:
            return self.settled
        oldest = _oldest_slot(now_s, self.window_s, self.slot_s)
        return sum(amount for slot, amount in self.slots.items() if slot >= oldest)

    def leased(self) -> int:
        """What owners may still spend."""
        return sum(lease.unspent for lease in self.leases.values())


class Report(Struct, array_like=True):
    """What an owner tells of one bucket, and asks for."""

    key: str
    cap: int
    window_s: int = 0
    slot_s: int = 0
    known: bool = True
    """False from an owner that has nothing of this bucket: it learns its lease's sums from the reply."""
    granted: int = 0
    """As the owner knows it."""
    spent: int = 0
    spends: Spends = ()
    """The last part of `spent`, at least what was not acknowledged yet, by slot."""
    returned: int = 0
    least: int = 0
    """Less than this is no use now; 0: nobody waits."""
    need: int = 0
    """What all that wait would need together; at least `least`."""
    want: int = 0
    """What it would take ahead."""
    segment: int = 0
    offset: int = 0
    warn_at: tuple[int, ...] = ()
    """The amounts used whose crossing is to be told once, lowest first."""
    life: int = 0
    restates: bool = False
    """Told again to a store that may have lost something: the position is noted even where nothing is new."""


class Reply(Struct, array_like=True):
    """What the owner learns: its lease's sums, and how the bucket stands."""

    granted: int
    spent: int
    returned: int
    available: int
    """What could still be granted to anyone."""
    elsewhere: int
    """What other owners may still spend."""
    used: int
    frees_s: int
    """Of a rolling window that holds something: seconds until its oldest slot leaves; else 0."""
    crossed: int
    """The highest amount of `warn_at` that was crossed with this report and not told before; else 0."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(BucketState).decode


def encode(state: BucketState) -> bytes:
    """The stored form."""
    return _encode(state)


def decode(raw: bytes | None) -> BucketState:
    """The state of the stored form; a new one of None. Raises `msgspec.DecodeError` for anything else."""
    return BucketState() if raw is None else _decode(raw)


def exchange(state: BucketState, owner: str, report: Report, now_s: int) -> Reply:
    """Applies a report to `state`, which it changes, and grants what there is to grant."""
    state.cap, state.window_s, state.slot_s = report.cap, report.window_s, report.slot_s
    _heed_clock(state, now_s)
    lease = state.leases.get(owner)
    if lease is None:
        lease = state.leases[owner] = Lease()
    if report.restates or report.spent != lease.spent or not (lease.segment or lease.offset):
        # A report with nothing new changes nothing, so that asking in vain writes nothing.
        lease.segment, lease.offset = report.segment, report.offset
    if report.life > lease.life:
        lease.life, lease.granted, lease.returned = report.life, lease.spent, 0
    if report.known:
        _settle(state, lease.spent, report, now_s)
        # A store that lost something learns here what this owner has.
        lease.granted = max(lease.granted, report.granted)
        lease.spent = max(lease.spent, report.spent)
        lease.returned = max(lease.returned, report.returned)
        lease.granted = max(lease.granted, lease.spent + lease.returned)
    used = state.used(now_s)
    elsewhere = state.leased() - lease.unspent
    available = report.cap - used - elsewhere - lease.unspent
    lease.granted += _grant(report, available, lease)
    available = report.cap - used - elsewhere - lease.unspent
    return Reply(
        lease.granted,
        lease.spent,
        lease.returned,
        max(0, available),
        max(0, elsewhere),
        used,
        _frees_s(state, now_s),
        _crossed(state, used, report.warn_at),
    )


def exchange_stored(raw: bytes | None, owner: str, report: Report, now_s: int) -> tuple[bytes | None, Reply]:
    """`exchange` on the stored form. Of a state that cannot be read nothing is granted, and it is left as it
    is."""
    try:
        state = decode(raw)
    except msgspec.DecodeError:
        return raw, Reply(report.granted, report.spent, report.returned, 0, 0, report.cap, 0, 0)
    reply = exchange(state, owner, report, now_s)
    return encode(state), reply


def settle_dead(state: BucketState, owner: str, spends: Spends, now_s: int) -> None:
    """Ends the lease of an owner that is gone. `spends`: what its journal says it spent after the lease's position,
    and what its requests held that never ended; the rest of the lease is free again. An owner without a lease had
    nothing that it could spend, or was settled before: nothing changes.
    """
    lease = state.leases.pop(owner, None)
    if lease is None:
        return
    _heed_clock(state, now_s)
    for slot, amount in spends:
        _add(state, slot, amount)
    state_id = state_id_of(owner)
    state.retired[state_id] = state.retired.get(state_id, 0) + lease.spent + sum(amount for _, amount in spends)


def raise_to(
    state: BucketState, whose: str, spends: Spends, now_s: int, restated: tuple[int, int] | None = None
) -> None:
    """After a store may have lost something: what the ledger says was spent, all told, by one live owner, which had
    told its leases again at the position `restated`, or by all dead owners of a STATE_ID. What the store knows less of
    is added, to the newest slots; it never knows too much.

    A lease that its owner told again is right as it is: the ledger has read on since, and what it says beyond is told
    by the owner, or found in its journal. What the ledger is needed for is a bucket that the owner had dropped before:
    it spent nothing of it since.
    """
    if restated is not None:
        lease = state.leases.get(whose)
        if lease is not None and (lease.segment, lease.offset) >= restated:
            return
    _heed_clock(state, now_s)
    total = sum(amount for _, amount in spends)
    if state_id_of(whose) == whose:
        missing = total - state.retired.get(whose, 0)
        if missing > 0:
            state.retired[whose] = total
    else:
        lease = state.leases.setdefault(whose, Lease())
        missing = total - lease.spent
        if missing > 0:
            lease.spent = total
            lease.segment, lease.offset = restated or (lease.segment, lease.offset)
            lease.granted = max(lease.granted, lease.spent + lease.returned)
    for slot, amount in sorted(spends, reverse=True):
        if missing <= 0:
            break
        _add(state, slot, min(amount, missing))
        missing -= amount


def state_id_of(owner: str) -> str:
    """The state directory that an owner (`STATE_ID:JOURNAL_DIRECTORY`) belongs to."""
    return owner.partition(":")[0]


def sums(state: BucketState) -> Mapping[str, int]:
    """How much each owner, and each STATE_ID for its dead ones, has spent."""
    return {**state.retired, **{owner: lease.spent for owner, lease in state.leases.items()}}


def _grant(report: Report, available: int, lease: Lease) -> int:
    available = min(available, MOST_GRANTED - lease.granted)
    already = lease.granted - report.granted if report.known else lease.unspent  # of a reply that was lost
    least, need, want = report.least - already, report.need - already, report.want - already
    if available <= 0 or available < least:
        return 0
    return max(0, min(available, max(least, need, min(want, available // SHARE))))


def _settle(state: BucketState, told: int, report: Report, now_s: int) -> None:
    """Moves what the report spent beyond `told` into the window. A repeated report begins with what was told."""
    skip = told - (report.spent - sum(amount for _, amount in report.spends))
    if skip < 0:  # this store lost what it was told: counted as spent now
        _add(state, now_s // report.slot_s if report.slot_s else 0, -skip)
        skip = 0
    for slot, amount in report.spends:
        if amount > skip:
            _add(state, slot, amount - skip)
            skip = 0
        else:
            skip -= amount


def _add(state: BucketState, slot: int, amount: int) -> None:
    state.settled = min(state.settled + amount, MOST_GRANTED)
    if state.window_s:
        state.slots[slot] = min(state.slots.get(slot, 0) + amount, MOST_GRANTED)


def _heed_clock(state: BucketState, now_s: int) -> None:
    """What lies in the future, since a clock was set back, counts as spent now: it must not count for hours."""
    if not state.window_s:
        return
    slots = state.slots
    here = now_s // state.slot_s
    for slot in [slot for slot in slots if slot > here + 1]:
        slots[here] = slots.get(here, 0) + slots.pop(slot)
    if len(slots) > MOST_SLOTS:
        oldest = _oldest_slot(now_s, state.window_s, state.slot_s)
        for slot in sorted(slots)[:-MOST_SLOTS]:
            if slot < oldest:
                del slots[slot]


def _oldest_slot(now_s: int, window_s: int, slot_s: int) -> int:
    """The first slot that ends after the window began."""
    return (now_s - window_s) // slot_s


def _frees_s(state: BucketState, now_s: int) -> int:
    if not state.window_s:
        return 0
    oldest = _oldest_slot(now_s, state.window_s, state.slot_s)
    first = min((slot for slot in state.slots if slot >= oldest), default=None)
    return 0 if first is None else max(1, (first + 1) * state.slot_s + state.window_s - now_s)


def _crossed(state: BucketState, used: int, warn_at: tuple[int, ...]) -> int:
    if not warn_at:
        return 0
    reached = max((amount for amount in warn_at if used >= amount), default=0)
    if reached > state.warned:
        state.warned = reached
        return reached
    if used < state.warned - state.warned // REARM:
        state.warned = reached
    return 0

"""A worker's own side of its meters: slices of buckets, and what its requests hold of them. Pure: no I/O, no clock.

The hot path is `hold` and `settle`: a subtraction and a comparison for each meter. One comparison serves for all that
is rare, since each bucket carries its own mark `low`: slack that would fall below it takes the slow way, be it that
there is not enough, that it is time to take another slice, that others wait, or that nobody has looked at the bucket
since it was last told to the authority (then `low` is `ALARM`). What is told, and what a reply means, is in `reports`
of the same name; what an authority makes of it in `authority`; who asks it in `dataplane.leasing`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from gateway.config.snapshot_meters import CONCURRENT, INPUT, MONEY, OUTPUT, REQUESTS, Meter

Needs: TypeAlias = tuple[int, int, int, int, int]
"""Amounts by quantity: requests, input tokens, output tokens, concurrent requests, nano-dollars."""

ALARM: Final = 2**70
"""More than any slack: the next hold takes the slow way."""
NOTHING: Final[Needs] = (0, 0, 0, 0, 0)
SECOND_NS: Final = 1_000_000_000


def of(needs: Needs, quantity: int) -> int:
    """The amount of one quantity: `needs[quantity]`, for which compiled code would make an object of all five."""
    if quantity == MONEY:
        return needs[4]
    if quantity == OUTPUT:
        return needs[2]
    if quantity == INPUT:
        return needs[1]
    return needs[0] if quantity == REQUESTS else needs[3]


class Bucket:
    """One meter's sum for one subject and window, as far as this worker knows it.

    `slack` is what may still be held here: granted − returned − spent − held. Of requests, `spent` is not kept: they
    are spent when they are held. For readers (headers, thresholds): `cap`, `used`, `remaining`, `frees_s`.
    """

    __slots__ = (
        *("slack", "low", "quantity", "spent", "key", "life", "meter", "cap", "granted", "returned", "known", "gone"),
        *(
            "waiting",
            "touched",
            "asked",
            "marked",
            "spends",
            "slice",
            "sliced_s",
            "last_need",
            "available",
            "elsewhere",
        ),
        *("settled", "told_spent", "told_returned", "frees_s", "ends_ns", "dry_until_s", "futile_until_s"),
        "recalled_s",
    )

    def __init__(self, meter: Meter, key: str, life: int = 1) -> None:
        """`life`: higher than that of any bucket of this key that was dropped before."""
        self.key = key
        self.life = life
        self.meter = meter
        self.quantity = meter.quantity
        self.cap = meter.cap
        self.slack = 0
        self.low = ALARM
        self.spent = 0
        self.granted = 0
        self.returned = 0
        self.known = False
        """Whether the authority's sums of this lease are ours; not before the first reply."""
        self.gone = False
        """Dropped as idle: `Leases` knows it no more, a bundle may."""
        self.waiting = 0
        """Requests that wait for it."""
        self.touched = False
        """Looked at by a hold since it was last told."""
        self.asked = False
        """More of it was asked for, and the reply is not there yet."""
        self.marked = 0
        """Of a rolling window: `spent` when `spends` was last written."""
        self.spends: list[tuple[int, int]] = []
        """Of a rolling window: (slot, amount) that was not acknowledged yet."""
        self.slice = 0
        self.sliced_s = 0.0
        self.last_need = 0
        self.available = 0
        """What the authority had left for anyone, at the last exchange."""
        self.elsewhere = 0
        """What other owners had not spent then."""
        self.settled = 0
        """What was used of the cap then, by anyone."""
        self.told_spent = 0
        """The part of `spent` that the authority is known to have."""
        self.told_returned = 0
        self.frees_s = 0
        """Seconds, from the last exchange, until a rolling window frees something; else 0."""
        self.ends_ns = -1
        """When its window ends (wall time), 0 for never; -1 until somebody asks."""
        self.dry_until_s = 0.0
        """Until then (monotonic) `available` is taken for what there is: asking again would be for nothing."""
        self.futile_until_s = 0.0
        """Until then (monotonic) others are not asked for what they do not need: they just gave nothing."""
        self.recalled_s = 0.0
        """When others were last asked for what they do not need (monotonic)."""

    @property
    def total(self) -> int:
        """What this worker has spent of it, all told."""
        return self.granted - self.returned - self.slack if self.quantity == REQUESTS else self.spent

    @property
    def held(self) -> int:
        """What running requests hold; requests themselves are spent at once."""
        return 0 if self.quantity == REQUESTS else self.granted - self.returned - self.spent - self.slack

    @property
    def used(self) -> int:
        """What is used of the cap, as far as is known here: settled by all, and held here."""
        return self.settled + self.total - self.told_spent + self.held

    @property
    def remaining(self) -> int:
        """What this worker could still hold, as far as is known here."""
        return self.slack + self.available


class Bundle:
    """The buckets of one kind of request; made once and used for all that have the same.

    `rolls_held`, `rolls_settled`: whether any of them, with a rolling window, is spent of when a request is held, or
    when it is settled: then it counts in which second that is, and `Leases.turn` comes first.
    """

    __slots__ = (
        *("buckets", "concurrent", "inputs", "lengthening", "money", "outputs", "requests", "rolls_held"),
        *("rolls_settled", "tokens"),
    )

    def __init__(self, buckets: Sequence[Bucket]) -> None:
        self.put(buckets)

    def put(self, buckets: Sequence[Bucket]) -> None:
        """Replaces the buckets: some were dropped and made again."""
        self.buckets = tuple(buckets)
        self.requests = _those(buckets, (REQUESTS,))
        self.inputs = _those(buckets, (INPUT,))
        self.outputs = _those(buckets, (OUTPUT,))
        self.tokens = _those(buckets, (INPUT, OUTPUT))
        self.concurrent = _those(buckets, (CONCURRENT,))
        self.money = _those(buckets, (MONEY,))
        self.lengthening = _those(buckets, (OUTPUT, MONEY))
        self.rolls_held = any(each.meter.window.slot_s for each in self.requests)
        self.rolls_settled = any(each.meter.window.slot_s for each in (*self.tokens, *self.money))


def _those(buckets: Sequence[Bucket], quantities: tuple[int, ...]) -> tuple[Bucket, ...]:
    return tuple(each for each in buckets if each.quantity in quantities)


def _spend(buckets: tuple[Bucket, ...], held: int, used: int) -> None:
    free = held - used
    for bucket in buckets:
        bucket.spent += used
        bucket.slack += free


class Hold:
    """What one request has taken; `settled` once that has ended."""

    __slots__ = ("amounts", "bundle", "settled")

    def __init__(self, bundle: Bundle, amounts: Needs) -> None:
        self.bundle = bundle
        self.amounts = amounts
        self.settled = False


class Leases:
    """All buckets of a worker. `hold`, `extend`, `settle` for requests; the rest for `reports`.

    - `turn_ns`: the end of the second we are in (wall time); whoever holds or settles, where that spends of a rolling
      window (`Bundle`), calls `turn` first when that moment has come.
    - `holds`: how often something was held.

    A bucket is `fresh` from its first hold after it was told until it is told again; `busy` when nothing is new but
    requests hold of it; else `resting`, and some time later `kept` with what is in its pocket, or dropped.
    """

    __slots__ = (
        "buckets",
        "busy",
        "fresh",
        "holds",
        "kept",
        "made",
        "resting",
        "rolling",
        "thirsty",
        "turn_ns",
        "wake",
    )

    def __init__(self, wake: Callable[[], None] = lambda: None) -> None:
        """`wake` is called when a slice should be refilled before it is used up."""
        self.buckets: dict[str, Bucket] = {}
        self.fresh: dict[Bucket, None] = {}
        self.busy: set[Bucket] = set()
        self.resting: dict[Bucket, float] = {}
        """Since when (monotonic), the longest first."""
        self.kept: dict[Bucket, float] = {}
        """Since when, the longest first."""
        self.thirsty: dict[Bucket, None] = {}
        """Those whose slice is nearly used up."""
        self.rolling: set[Bucket] = set()
        """Of rolling windows, those whose sum may have changed since the second began."""
        self.turn_ns = 0
        self.holds = 0
        self.made = 0
        self.wake = wake

    # -- for requests

    def bucket(self, meter: Meter, key: str) -> Bucket:
        """The bucket of that key, made when there is none. A cap lowered since gives what is in the pocket back."""
        bucket = self.buckets.get(key)
        if bucket is None:
            self.made += 1
            bucket = self.buckets[key] = Bucket(meter, key, self.made)
        elif bucket.meter is not meter:
            lowered = meter.cap < bucket.cap
            bucket.meter, bucket.cap, bucket.dry_until_s = meter, meter.cap, 0.0
            if lowered:
                self.give_back(bucket)
        return bucket

    def bundle(self, buckets: Sequence[Bucket]) -> Bundle:
        """For requests that fall into these buckets."""
        return Bundle(buckets)

    def hold(self, bundle: Bundle, needs: Needs) -> Hold | Bucket:
        """Takes what a request needs of every bucket, or nothing and returns the first one that is short."""
        for bucket in bundle.buckets:
            left = bucket.slack - of(needs, bucket.quantity)
            if left < bucket.low:
                return self._hold_with_care(bundle, needs, bucket)
            bucket.slack = left
        self.holds += 1
        return Hold(bundle, needs)

    def extend(self, hold: Hold, output_tokens: int, nanos: int) -> bool:
        """Adds to what a running request holds, ahead of what it produces: all or nothing."""
        if hold.settled:
            return False
        needs = (0, 0, output_tokens, 0, nanos)
        if self.take(hold.bundle, needs, lengthens=True, first=True) is not None:
            return False  # before those that wait to begin
        amounts = hold.amounts
        hold.amounts = (amounts[0], amounts[1], amounts[2] + output_tokens, amounts[3], amounts[4] + nanos)
        return True

    def lower_input(self, hold: Hold, tokens: int) -> None:
        """The request has only so many input tokens: what was held for more of them is free; the money stays held."""
        amounts = hold.amounts
        for bucket in hold.bundle.inputs:
            bucket.slack += amounts[1] - tokens
        hold.amounts = (amounts[0], tokens, amounts[2], amounts[3], amounts[4])

    def settle(self, hold: Hold, used: Needs) -> None:
        """Ends a hold: what was used is spent, the rest is free again. The first call counts. More than was held is
        never spent: whoever knows of more says so in the record."""
        if hold.settled:
            return
        hold.settled = True
        held = hold.amounts
        if used[1] > held[1] or used[2] > held[2] or used[4] > held[4]:
            used = (held[0], min(used[1], held[1]), min(used[2], held[2]), held[3], min(used[4], held[4]))
        bundle = hold.bundle
        _spend(bundle.inputs, held[1], used[1])
        _spend(bundle.outputs, held[2], used[2])
        _spend(bundle.money, held[4], used[4])
        for bucket in bundle.concurrent:
            bucket.slack += held[3]

    def turn(self, wall_ns: int) -> None:
        """A second is over: what rolling buckets spent in it goes into its slot. `wall_ns`: now."""
        for bucket in list(self.rolling):
            self.mark(bucket)
            if not bucket.held:
                bucket.low = ALARM  # the next hold brings it back
                self.rolling.discard(bucket)
        self.turn_ns = (wall_ns // SECOND_NS + 1) * SECOND_NS

    # -- the rare cases

    def take(self, bundle: Bundle, needs: Needs, *, lengthens: bool = False, first: bool = False) -> Bucket | None:
        """Takes all or nothing, with everything heeded; returns the bucket that is short. `lengthens`: for a request
        that runs; `first`: whoever waits for a bucket is this one, or behind it."""
        if any(bucket.gone for bucket in bundle.buckets):  # dropped as idle: those of their keys that are there now
            bundle.put([self._again(each) if each.gone else each for each in bundle.buckets])
        buckets = bundle.lengthening if lengthens else bundle.buckets
        for bucket in buckets:
            need = of(needs, bucket.quantity)
            if need > bucket.slack or (need and bucket.waiting and not first):
                bucket.last_need = need
                self.touch(bucket)
                return bucket
        for bucket in buckets:
            need = of(needs, bucket.quantity)
            bucket.slack -= need
            if bucket.slack < bucket.low:
                if need:
                    bucket.last_need = need
                self._look(bucket)
        return None

    def touch(self, bucket: Bucket) -> None:
        """Sees to it that what changes in this bucket is told."""
        if not bucket.touched:
            bucket.touched = True
            self.fresh[bucket] = None
            self.busy.discard(bucket)
            if self.resting.pop(bucket, None) is None:
                self.kept.pop(bucket, None)
        if bucket.meter.window.slot_s:
            self.rolling.add(bucket)

    def mark(self, bucket: Bucket) -> None:
        """Notes what was spent of a rolling bucket in this second, as far as it was not noted yet."""
        amount = bucket.total - bucket.marked
        if amount > 0:
            bucket.marked += amount
            slot = (self.turn_ns // SECOND_NS - 1) // bucket.meter.window.slot_s
            if bucket.spends and bucket.spends[-1][0] == slot:
                amount += bucket.spends.pop()[1]
            bucket.spends.append((slot, amount))

    def give_back(self, bucket: Bucket) -> bool:
        """Puts what is in the pocket into `returned`, to be told; False when there was nothing."""
        if bucket.slack <= 0:
            return False
        bucket.returned += bucket.slack
        bucket.slack = 0
        bucket.slice = 0
        bucket.low = ALARM
        self.touch(bucket)
        return True

    def forget(self, bucket: Bucket) -> None:
        """Drops a bucket of which nothing is held, nothing left, nothing untold and nothing on its way."""
        bucket.gone = True
        bucket.low = ALARM
        del self.buckets[bucket.key]
        self.rolling.discard(bucket)

    def _hold_with_care(self, bundle: Bundle, needs: Needs, at: Bucket) -> Hold | Bucket:
        for bucket in bundle.buckets:
            if bucket is at:
                break
            bucket.slack += of(needs, bucket.quantity)
        short = self.take(bundle, needs)
        if short is not None:
            return short
        self.holds += 1
        return Hold(bundle, needs)

    def _look(self, bucket: Bucket) -> None:
        """The slack fell below the mark: the bucket was not looked at since it was told, or its slice nears its end."""
        self.touch(bucket)
        half = bucket.slice // 2
        if bucket.waiting:
            return
        if bucket.slack >= half:
            bucket.low = half
        else:
            bucket.low = 0  # until the next reply
            if bucket.available and not bucket.asked:
                self.thirsty[bucket] = None
                self.wake()

    def _again(self, bucket: Bucket) -> Bucket:
        return self.buckets.get(bucket.key) or self.bucket(bucket.meter, bucket.key)

"""Requests that found a bucket short, in the order they came, and what becomes of them. Pure; see `leases`.

Whoever waits for a bucket keeps later ones from taking of it, but nobody from other buckets. A refusal is only for
what the authority said it does not have, after it was asked for this very request, and what other owners did not give
back within the time they have for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from gateway.policy.leases import ALARM, NOTHING, SECOND_NS, Bucket, Bundle, Hold, Leases, Needs, of

DRY_S: Final = 0.02
"""After a refusal of what no other owner has either, how long what the authority said is taken for what there is."""
FUTILE_S: Final = 0.05
"""After a recall that did not help, how long nobody waits for another one."""
HURRY_S: Final = 0.02
"""A bucket is not recalled again sooner."""
PATIENCE: Final = 4
"""Who is told that there is enough, and finds it taken by another owner, gives up after so many times its wait."""


class Waiting:
    """A request that waits: for a hold, or to extend the one it has. `on_end` is called once, with what it got, with
    the bucket that is short for good, or with None when the authority cannot be asked.
    """

    __slots__ = ("asked", "bundle", "deadline_s", "ended", "extends", "needs", "on_end", "short", "wait_s")

    def __init__(
        self,
        bundle: Bundle,
        needs: Needs,
        on_end: Callable[[Hold | Bucket | None], None],
        wait_s: float,
        extends: Hold | None = None,
    ) -> None:
        self.bundle = bundle
        self.needs = needs
        self.on_end = on_end
        self.wait_s = wait_s
        self.extends = extends
        self.short: Bucket | None = None
        self.asked = False
        """Its needs were part of an exchange."""
        self.deadline_s = 0.0
        """Set when it begins to wait for what others give back."""
        self.ended = False

    @property
    def buckets(self) -> Sequence[Bucket]:
        """What it needs something of: what is in the bundle now, since a bucket that nobody used may be dropped
        while it waits for another one."""
        return self.bundle.buckets if self.extends is None else self.bundle.lengthening


class Queue:
    """Those who wait in one worker. Times are monotonic seconds."""

    __slots__ = ("_leases", "waiting")

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.waiting: dict[Waiting, None] = {}

    def hopeless(self, bundle: Bundle, needs: Needs, now_s: float) -> Bucket | None:
        """A bucket that will surely be short: its cap is lower, or the authority just said so."""
        for bucket in bundle.buckets:
            need = of(needs, bucket.quantity)
            if need > bucket.cap or (now_s < bucket.dry_until_s and need - bucket.slack > bucket.available):
                return bucket
        return None

    def add(self, waiting: Waiting, short: Bucket) -> None:
        """`short`: the bucket it found short. Running streams come before requests that begin."""
        if waiting.extends is None:
            self.waiting[waiting] = None
        else:
            self.waiting = {waiting: None, **self.waiting}
        self._wait_for(waiting, short)

    def leave(self, waiting: Waiting) -> None:
        """It waits no longer, whatever came of it."""
        if waiting in self.waiting:
            del self.waiting[waiting]
            self._wait_for(waiting, None)
        waiting.ended = True

    def end(self, waiting: Waiting, result: Hold | Bucket | None) -> None:
        """Its wait is over, with that result."""
        self.leave(waiting)
        waiting.on_end(result)

    def demands(self) -> dict[Bucket, tuple[int, int]]:
        """What those who wait lack of each bucket: the first of them, and all together. They count as asked."""
        wanted: dict[Bucket, list[int]] = {}
        for waiting in self.waiting:
            waiting.asked = True
            for bucket in waiting.buckets:
                need = of(waiting.needs, bucket.quantity)
                if need:
                    wanted.setdefault(bucket, []).append(need)
                    bucket.last_need = need
        return {
            bucket: (max(1, needs[0] - bucket.slack), sum(needs) - bucket.slack)
            for bucket, needs in wanted.items()
            if sum(needs) > bucket.slack and not bucket.gone
        }

    def serve(self) -> None:
        """Something is free again: whoever can have what it needs gets it, in order."""
        self._pass(None, 0)

    def decide(self, now_s: float, wall_ns: int) -> tuple[bool, list[Bucket]]:
        """After an exchange: serves, and refuses who cannot be helped. Returns whether asking again at once would
        help, and of which buckets others are to give back what they do not need.
        """
        return self._pass(now_s, wall_ns)

    def _pass(self, now_s: float | None, wall_ns: int) -> tuple[bool, list[Bucket]]:
        again = False
        recalls: list[Bucket] = []
        blocked: set[Bucket] = set()
        for waiting in list(self.waiting):
            if waiting.ended:
                continue  # since we began: what another one got woke whoever cancelled it
            if blocked and not blocked.isdisjoint(waiting.buckets) and self._is_behind(waiting, blocked):
                again = again or not waiting.asked
                continue
            short = self._leases.take(waiting.bundle, waiting.needs, lengthens=waiting.extends is not None, first=True)
            if short is None:
                self.end(waiting, self._taken(waiting))
                continue
            self._wait_for(waiting, short)
            if now_s is not None and waiting.asked:
                verdict = self._judge(waiting, short, now_s)
                if verdict == "refuse":
                    self._dry(short, now_s, wall_ns)
                    self.end(waiting, short)
                    continue
                if verdict == "ask":
                    again = True
                elif now_s - short.recalled_s >= HURRY_S:
                    short.recalled_s = now_s
                    recalls.append(short)
            else:
                again = True
            blocked.add(short)
        return again, recalls

    def _judge(self, waiting: Waiting, short: Bucket, now_s: float) -> str:
        """What is to become of one that was asked for, and is still short."""
        if not waiting.deadline_s:
            waiting.deadline_s = now_s + waiting.wait_s
        lacking = of(waiting.needs, short.quantity) - short.slack
        if lacking <= short.available:  # freed here or elsewhere since the reply was on its way
            return "ask" if now_s < waiting.deadline_s + (PATIENCE - 1) * waiting.wait_s else "refuse"
        if lacking > short.available + short.elsewhere or now_s < short.futile_until_s:
            return "refuse"
        if now_s < waiting.deadline_s:
            return "recall"
        short.futile_until_s = now_s + FUTILE_S
        return "refuse"

    def _dry(self, bucket: Bucket, now_s: float, wall_ns: int) -> None:
        if bucket.elsewhere:
            return
        until_s = now_s + DRY_S
        if bucket.meter.window.slot_s:  # the next slot may leave with the next second
            until_s = min(until_s, now_s + (self._leases.turn_ns - wall_ns) / SECOND_NS)
        bucket.dry_until_s = until_s

    def _is_behind(self, waiting: Waiting, blocked: set[Bucket]) -> bool:
        return any(bucket in blocked and of(waiting.needs, bucket.quantity) for bucket in waiting.buckets)

    def _taken(self, waiting: Waiting) -> Hold:
        """The hold of one that took what it needed."""
        hold = waiting.extends
        if hold is None:
            self._leases.holds += 1
            return Hold(waiting.bundle, waiting.needs)
        if hold.settled:  # ended while it waited: it needs nothing any more
            self._leases.settle(Hold(waiting.bundle, waiting.needs), NOTHING)
        else:
            amounts, more = hold.amounts, waiting.needs
            hold.amounts = (amounts[0], amounts[1], amounts[2] + more[2], amounts[3], amounts[4] + more[4])
        return hold

    def _wait_for(self, waiting: Waiting, short: Bucket | None) -> None:
        before = waiting.short
        if before is short:
            return
        if before is not None:
            before.waiting -= 1
        waiting.short = short
        if short is not None:
            short.waiting += 1
            short.low = ALARM

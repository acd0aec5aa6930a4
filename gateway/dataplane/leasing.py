"""Asks the authority for slices of meters, and tells it what was spent: the I/O around `policy.leases`. One for each
worker.

What is local is done at once (`hold`, `extend_now`, `settle`). Whoever finds a bucket short waits (`hold_or_wait`,
`extend`): first for an exchange with the authority, which is made for all that wait, one at a time; then, where other
owners have not spent theirs, for what they give back when asked to (a recall). Only what is not there then is refused.

Answers to recalls, and slices that near their end, are exchanged at once; what else is new is told after so many holds
or so much time. A store that does not answer is left alone for a while: until it does again, what is local can be held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, TypeAlias

import msgspec

from gateway.clock import Clock
from gateway.errors import MetersUnavailable
from gateway.policy import authority, reports
from gateway.policy.authority import Reply, Report
from gateway.policy.leases import NOTHING, SECOND_NS, Bucket, Bundle, Hold, Leases, Needs, of
from gateway.policy.waiting import Queue, Waiting
from gateway.store.meters import Change, MeterStore, MeterStoreDown, Unreconciled

MOST_KEYS: Final = 256
"""Buckets told of in one exchange, beside those that somebody waits for."""
TELLS_AT_ONCE: Final = 500
"""Buckets told of at a time, the longest untold first: of a hundred thousand callers that each ask now and then,
telling at once would cost more than serving them. What is not told counts as leased, so nothing depends on it …"""
TELLS_WITHIN: Final = 600
"""… and all that is new is told within about so many seconds."""
WAIT_S: Final = 0.25
"""How long a request that begins waits for what other owners give back. They answer within milliseconds when their
loops are free; on a machine that is full it takes longer, and a late refusal is better than a false one."""
POLLS_S: Final[Sequence[float]] = (0.002, 0.004, 0.008, 0.016)
"""How long after a recall, and after each other, the authority is asked whether something was given back."""
TELL_EVERY_S: Final = 1.0
TELL_AFTER_HOLDS: Final = 100
"""What is new is told after so many holds …"""
TELL_AT_LAST_S: Final = 5.0
"""… or so much time."""
RETRY_FIRST_S: Final = 0.2
RETRY_MOST_S: Final = 2.0
"""How long a store that does not answer is left alone: at first, and at most."""


Asked: TypeAlias = dict[str, tuple[Bucket, Report]]
"""By key: what one exchange tells."""


class Short(Exception):
    """There is not enough left of `bucket`, anywhere."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(bucket.key)
        self.bucket = bucket


class Leasing:
    """See the module. Belongs to one event loop.

    - `leases`: what it leases; `bucket` and `bundle` are its own.
    - `exchanges`, `failures`: calls of the store, and how many of them failed; `exchange_s`: the time they took.
    - `trouble`: why the store cannot be asked now; "" while it can.
    - `waits`, `refusals`: requests that waited, and that were refused.
    - `recalls`, `recalled`: buckets that others were asked to give back, and that were asked of us.
    - `on_crossed`: called with a bucket and the amount used whose crossing is to be told (`warn`).
    """

    def __init__(
        self, store: MeterStore, owner: str, clock: Clock, position: Callable[[], tuple[int, int]] = lambda: (0, 0)
    ) -> None:
        """`owner`: `STATE_ID:JOURNAL_DIRECTORY`. `position`: segment and offset up to which the journal is written."""
        self.leases = Leases(self._kick)
        self.bucket = self.leases.bucket
        self.bundle = self.leases.bundle
        self.exchanges = self.failures = self.waits = self.refusals = self.recalls = self.recalled = 0
        self.exchange_s = 0.0
        self.trouble = ""
        self.on_crossed: Callable[[Bucket, int], None] = lambda bucket, amount: None
        self._store = store
        self._owner = owner
        self._wall_ns = clock.wall_ns
        self._now_s = clock.monotonic_s
        self._position = position
        self._queue = Queue(self.leases)
        self._urgent: dict[Bucket, None] = {}
        self._running: asyncio.Task[None] | None = None
        self._again = False
        self._to_tell = 0
        self._probe = False
        self._ticked_s = self._told_s = clock.monotonic_s()
        self._told_holds = 0
        self._turn_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._polls = 0
        self._down_until_s = 0.0
        self._retry_s = RETRY_FIRST_S
        self._restated = False
        store.on_recall(self._asked_back)

    # -- for requests

    def hold(self, bundle: Bundle, needs: Needs) -> Hold | Bucket:
        """Takes what is local: all, or nothing and returns the first bucket that is short."""
        if bundle.rolls_held:
            self._turn()
        return self.leases.hold(bundle, needs)

    async def hold_or_wait(self, bundle: Bundle, needs: Needs, wait_s: float = WAIT_S) -> Hold:
        """The same from wherever it is to be had; `wait_s` is for what other owners give back. Raises `Short`, and
        `MetersUnavailable` when the store does not answer. A wait that is cancelled leaves nothing held; its request
        may have been counted."""
        held = self.hold(bundle, needs)
        return held if isinstance(held, Hold) else await self._wait(bundle, needs, held, wait_s, None)

    def extend_now(self, hold: Hold, output_tokens: int, nanos: int) -> bool:
        """Adds to what a running request holds, of what is local; False when there is not enough."""
        return self.leases.extend(hold, output_tokens, nanos)

    async def extend(self, hold: Hold, output_tokens: int, nanos: int, wait_s: float = WAIT_S) -> bool:
        """The same from wherever it is to be had, within `wait_s`. Raises `MetersUnavailable`."""
        if self.extend_now(hold, output_tokens, nanos):
            return True
        if hold.settled:
            return False
        needs = (0, 0, output_tokens, 0, nanos)
        short = next(each for each in hold.bundle.lengthening if of(needs, each.quantity) > each.slack)
        try:
            await self._wait(hold.bundle, needs, short, wait_s, hold)
        except Short:
            return False
        return not hold.settled

    def settle(self, hold: Hold, used: Needs) -> None:
        """Ends a hold, once: what was used is spent, the rest is free. To be called in the same step as the journal's
        `close`: what is told of the meters then agrees with the journal's position."""
        if hold.bundle.rolls_settled:
            self._turn()
        self.leases.settle(hold, used)
        if self._queue.waiting and any(bucket.waiting for bucket in hold.bundle.buckets):
            self._turn()
            self._queue.serve()

    def _turn(self) -> None:
        """Before anything is spent that counts in this second."""
        now_s = self._now_s()
        if now_s >= self._turn_s:
            wall_ns = self._wall_ns()
            self.leases.turn(wall_ns)
            self._turn_s = now_s + (self.leases.turn_ns - wall_ns) / SECOND_NS

    # -- for the worker

    def tick(self, monotonic_s: float) -> None:
        """Called several times a second."""
        if monotonic_s - self._ticked_s < TELL_EVERY_S:
            return
        self._ticked_s = monotonic_s
        if self.leases.turn_ns - self._wall_ns() > SECOND_NS:  # the clock was set back
            self._turn_s = 0.0
        self._turn()
        reports.look_after(self.leases, monotonic_s)
        if self.leases.fresh and (
            self.leases.holds - self._told_holds >= TELL_AFTER_HOLDS or monotonic_s - self._told_s >= TELL_AT_LAST_S
        ):
            self._tell(max(TELLS_AT_ONCE, len(self.leases.fresh) // TELLS_WITHIN))

    async def granted(self) -> bool:
        """Whether the store grants now; if so, it is asked again from now on. Raises MeterStoreDown."""
        if not await self._store.reconciled():
            return False
        self._is_up()
        return True

    def tell(self) -> None:
        """Tells the authority all that is new, now."""
        self._tell(len(self.leases.fresh))

    def _tell(self, count: int) -> None:
        self._to_tell = count
        self._kick()

    async def stop(self) -> None:
        """Gives back and tells everything. What the store does not take now, the keeper finds in the journal."""
        while True:
            if self._running is not None:  # what it is granted is given back, too
                await asyncio.wait([self._running])
            for bucket in list(self.leases.buckets.values()):
                self.leases.give_back(bucket)
                if reports.untold(bucket):
                    self.leases.touch(bucket)
            if not self.leases.fresh or self._now_s() < self._down_until_s:
                break
            self.tell()
        if self._timer is not None:
            self._timer.cancel()

    # -- waiting

    async def _wait(self, bundle: Bundle, needs: Needs, short: Bucket, wait_s: float, extends: Hold | None) -> Hold:
        now_s = self._now_s()
        hopeless = self._queue.hopeless(bundle, needs, now_s)
        if hopeless is not None:
            self.refusals += 1
            raise Short(hopeless)
        if now_s < self._down_until_s:
            raise MetersUnavailable(_DOWN)
        future: asyncio.Future[Hold] = asyncio.get_running_loop().create_future()
        waiting = Waiting(bundle, needs, lambda result: self._ended(waiting, future, result), wait_s, extends)
        self.waits += 1
        self._queue.add(waiting, short)
        self._kick()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None and extends is None:
                self.settle(future.result(), NOTHING)
            raise
        finally:
            self._queue.leave(waiting)

    def _ended(self, waiting: Waiting, future: asyncio.Future[Hold], result: Hold | Bucket | None) -> None:
        self.refusals += isinstance(result, Bucket)
        if future.done():  # cancelled, and not yet out of the queue; what it holds already ends with its request
            if isinstance(result, Hold) and waiting.extends is None:
                self.settle(result, NOTHING)
        elif isinstance(result, Hold):
            future.set_result(result)
        else:
            future.set_exception(MetersUnavailable(_DOWN) if result is None else Short(result))

    # -- exchanges

    def _kick(self) -> None:
        """An exchange is wanted: now, or after the one in flight."""
        self._again = True
        if self._running is None and self._now_s() >= self._down_until_s:
            self._running = asyncio.get_running_loop().create_task(self._exchange())

    async def _exchange(self) -> None:
        """Exchanges until nothing is wanted any more."""
        try:
            while self._again:
                self._again = False
                lost: Unreconciled | None = None
                try:
                    await self._exchange_once()
                except Unreconciled as error:
                    lost = error
                except MeterStoreDown as error:
                    self._is_down(error)
                except BaseException as bug:  # or the end of the loop: nobody may wait for ever
                    self._is_down(bug)
                    raise
                if lost is not None:
                    await self._restate()
                    self._is_down(lost)
        finally:
            self._running = None

    async def _exchange_once(self) -> None:
        if self._probe:
            if not await self._store.reconciled():
                raise Unreconciled
            self._probe = False
            self._is_up()
        asked = self._reports(self._now_s())
        if asked:
            await self._ask(asked)
            self._is_up()
        if self._queue.waiting:
            self._turn()
            again, recalls = self._queue.decide(self._now_s(), self._wall_ns())
            self._again = self._again or again
            if recalls:
                self.recalls += len(recalls)
                self._polls = 0
                await self._store.recall([bucket.key for bucket in recalls])
            if self._queue.waiting and not self._again:
                self._look_again(POLLS_S[min(self._polls, len(POLLS_S) - 1)])
                self._polls += 1

    async def _ask(self, asked: Asked) -> None:
        self.exchanges += 1
        began_s = self._now_s()
        try:
            replies = await self._store.update(list(asked), self._change(asked))
        except BaseException:
            for bucket, _ in asked.values():
                reports.unheard(self.leases, bucket)
            raise
        self.exchange_s += self._now_s() - began_s
        self._learn(asked, replies)

    def _change(self, asked: Asked) -> Change[Reply]:
        owner, wall_ns = self._owner, self._wall_ns
        return lambda key, raw: authority.exchange_stored(raw, owner, asked[key][1], wall_ns() // SECOND_NS)

    def _learn(self, asked: Asked, replies: dict[str, Reply]) -> None:
        now_s = self._now_s()
        for key, (bucket, report) in asked.items():
            reply = replies[key]
            reports.learn(self.leases, bucket, report, reply, now_s)
            if reply.crossed:
                self.on_crossed(bucket, reply.crossed)

    def _reports(self, now_s: float) -> Asked:
        """What is told in the next exchange: of one instant, the journal's position included."""
        self._turn()
        demands = self._queue.demands()
        chosen = {**demands, **self.leases.thirsty, **self._urgent}
        self._urgent.clear()
        if self._to_tell:
            looked_at = list(islice(self.leases.fresh, min(MOST_KEYS, self._to_tell)))
            self._to_tell = min(self._to_tell, len(self.leases.fresh)) - len(looked_at)
            for bucket in looked_at:
                if reports.untold(bucket):
                    chosen.setdefault(bucket, None)
                elif bucket not in chosen:
                    reports.pass_over(self.leases, bucket, now_s)
            self._again = self._again or self._to_tell > 0
            self._told_s, self._told_holds = now_s, self.leases.holds
        position = self._position()
        return {
            bucket.key: (bucket, reports.build(self.leases, bucket, position, now_s, *demands.get(bucket, (0, 0))))
            for bucket in chosen
            if not bucket.gone
        }

    def _is_down(self, error: BaseException) -> None:
        """Whoever waits is told; the store is asked again later."""
        self.failures += 1
        self.trouble = str(error) or type(error).__name__
        self._again = False
        self._probe = True
        self._to_tell = len(self.leases.fresh)
        self._down_until_s = self._now_s() + self._retry_s
        self._look_again(self._retry_s)
        self._retry_s = min(2 * self._retry_s, RETRY_MOST_S)
        for waiting in list(self._queue.waiting):
            self._queue.end(waiting, None)

    def _is_up(self) -> None:
        self.trouble = ""
        self._down_until_s, self._retry_s, self._restated = 0.0, RETRY_FIRST_S, False

    def _look_again(self, after_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(after_s, self._look)

    def _look(self) -> None:
        self._down_until_s = 0.0  # that moment may be a little away still: loops round their timers
        self._kick()

    async def _restate(self) -> None:
        """The store was restarted, and may have lost something: it is told all there is, once, and asked nothing."""
        if self._restated:
            return
        position = self._position()
        known = [bucket for bucket in self.leases.buckets.values() if bucket.known]
        now_s = self._now_s()
        told = [(bucket, reports.build(self.leases, bucket, position, now_s)) for bucket in known]
        try:
            while told:
                batch = {
                    bucket.key: (bucket, msgspec.structs.replace(report, want=0, restates=True))
                    for bucket, report in told[:MOST_KEYS]
                }
                self._learn(batch, await self._store.update(list(batch), self._change(batch), restating=True))
                del told[:MOST_KEYS]
            await self._store.restate_done(position)
            self._restated = True
        except MeterStoreDown:
            self.failures += 1
        finally:
            for bucket, _ in told:
                reports.unheard(self.leases, bucket)

    def _asked_back(self, keys: Sequence[str]) -> None:
        """Another owner is short of these: gives back what is in the pocket, and tells what was spent."""
        self._probe = self._probe or not keys
        for key in keys:
            bucket = self.leases.buckets.get(key)
            if bucket is None:
                continue
            self.recalled += 1
            self.leases.give_back(bucket)
            if reports.untold(bucket):
                self._urgent[bucket] = None
        if self._urgent or not keys:
            self._kick()


_DOWN: Final = "the store of the meters does not answer; nothing more can be spent until it does"

"""Meters for tests: small ones, workers that share them, and the ten-line ledger that real ones are held against."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from gateway.clock import Clock, SystemClock
from gateway.config.snapshot_meters import CONCURRENT, INPUT, MONEY, OUTPUT, REQUESTS, Meter, Threshold, Window
from gateway.dataplane.leasing import Leasing, Short
from gateway.policy.authority import BucketState, decode
from gateway.policy.leases import Bundle, Hold, Needs
from gateway.store.meters_memory import MemoryMeters, MeterMemory

LIFETIME = Window("lifetime")


def meter(quantity: int, cap: int, window: Window = LIFETIME, warn_at: Iterable[int] = ()) -> Meter:
    """A tenant's meter; `warn_at` are amounts."""
    at = tuple(Threshold(each * 1000 // cap, "warn", "", each) for each in warn_at)
    return Meter("tenant", quantity, cap, cap, window, at, "", f"{quantity}")


def rolling(seconds: int, slot_s: int = 1) -> Window:
    """A rolling window."""
    return Window("rolling", seconds, slot_s)


def needs(requests: int = 0, input_tokens: int = 0, output: int = 0, concurrent: int = 0, nanos: int = 0) -> Needs:
    """Amounts by quantity, told by name."""
    amounts = {REQUESTS: requests, INPUT: input_tokens, OUTPUT: output, CONCURRENT: concurrent, MONEY: nanos}
    return (amounts[0], amounts[1], amounts[2], amounts[3], amounts[4])


class SerialLedger:
    """The reference: one place, one thing at a time. What is used is what was spent in the window and what is held."""

    def __init__(self, cap: int, window_s: int = 0, slot_s: int = 1) -> None:
        self.cap, self.window_s, self.slot_s = cap, window_s, slot_s
        self.held = 0
        self.spent: list[tuple[int, int]] = []

    def used(self, now_s: int) -> int:
        oldest = (now_s - self.window_s) // self.slot_s
        return self.held + sum(n for at_s, n in self.spent if not self.window_s or at_s // self.slot_s >= oldest)

    def hold(self, amount: int, now_s: int) -> bool:
        fits = self.used(now_s) + amount <= self.cap
        self.held += amount if fits else 0
        return fits

    def settle(self, held: int, used: int, now_s: int) -> None:
        self.held -= held
        self.spent.append((now_s, used))


class Judged(asyncio.Future[Hold]):
    """What a request waits for that needs `wanted`: tells at the instant it is decided whether that was let in."""

    def __init__(self, wanted: Needs, judge: Callable[[Needs, bool], None]) -> None:
        super().__init__()
        self._wanted, self._judge = wanted, judge

    def set_result(self, result: Hold) -> None:
        if isinstance(result, Hold):  # the store has futures of its own
            self._judge(self._wanted, True)
        super().set_result(result)

    def set_exception(self, exception: type | BaseException) -> None:
        if isinstance(exception, Short):
            self._judge(self._wanted, False)
        super().set_exception(exception)


class Workers:
    """Some workers on one store."""

    def __init__(self, count: int = 1, clock: Clock | None = None) -> None:
        self.memory = MeterMemory()
        self.stores = [MemoryMeters(self.memory) for _ in range(count)]
        self.all = [Leasing(store, f"s:{n}", clock or SystemClock()) for n, store in enumerate(self.stores)]
        self.meters: dict[str, Meter] = {}

    def bundle(self, worker: int, *buckets: tuple[str, Meter]) -> Bundle:
        leasing = self.all[worker]
        return leasing.bundle([leasing.bucket(self.meters.setdefault(key, each), key) for key, each in buckets])

    def state(self, key: str) -> BucketState:
        return decode(self.memory.states.get(key))

    async def stop(self) -> None:
        """Afterwards nothing is leased."""
        for leasing in self.all:
            await leasing.stop()
        for key in self.memory.states:
            assert self.state(key).leased() == 0, key

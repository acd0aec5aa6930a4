"""Many callers on several workers in one process and no time at all: `dataplane.leasing` on meters in memory.

Nothing of HTTP, files or processes is here, and the loop's clock jumps from one event to the next, so thousands of
requests take seconds and the same seed gives the same run. A witness that sees every worker's holds at once says at
every step what is charged and held.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gateway.config.snapshot_meters import CONCURRENT, MONEY, REQUESTS, Meter, Window
from gateway.dataplane.leasing import Leasing, Short
from gateway.errors import MetersUnavailable
from gateway.policy import authority
from gateway.policy.leases import Bundle, Hold
from gateway.store.meters_memory import MemoryMeters, MeterMemory

START_NS = 1_800_000_000 * 10**9
NOT_NEAR = 20
"""One part in so many of the cap must be left for a refusal to be judged: 5 %."""


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: the time passes at once."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout:
            self.passed_s += timeout
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next event."""

    def __init__(self) -> None:
        self.jumping = _Jumping()
        super().__init__(self.jumping)

    def time(self) -> float:
        return self.jumping.passed_s


class LoopClock:
    """The loop's time, as both of a clock's."""

    def __init__(self, loop: JumpingLoop) -> None:
        self._loop = loop
        self.jumped_ns = 0

    def wall_ns(self) -> int:
        return START_NS + self.jumped_ns + round(self._loop.time() * 1e9)

    def monotonic_s(self) -> float:
        return self._loop.time()


@dataclass
class Simulated:
    """What is simulated."""

    seed: int = 1
    workers: int = 4
    callers: int = 200  # of each worker
    requests: int = 4_000
    cap: int = 10_000_000
    quantity: int = MONEY  # or CONCURRENT, or REQUESTS
    largest: int = 20_000  # that a request holds
    kills: int = 0  # workers that die on the way
    forgetful: bool = False  # an authority that now and then forgets what it was told: the meter is broken


@dataclass
class Outcome:
    """What the witness saw."""

    admitted: int = 0
    refused: int = 0
    judged: int = 0
    false: list[str] = field(default_factory=list)
    overshoot: int = 0
    rest: int = 0
    left_held: int = 0
    calls: int = 0  # of the authority


class Forgetful(MeterMemory):
    """Loses one change in ten: what an authority that is not durable does."""

    def __init__(self) -> None:
        super().__init__()
        self.states = _Losing()


class _Losing(dict[str, bytes]):
    def __init__(self) -> None:
        super().__init__()
        self._changes = 0

    def __setitem__(self, key: str, value: bytes) -> None:
        self._changes += 1
        if self._changes % 10:
            super().__setitem__(key, value)


class Witness:
    """Sees all that is charged and held, everywhere."""

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self.charged = 0
        self.held = 0
        self.most = 0

    def holds(self, amount: int) -> None:
        self.held += amount
        self.most = max(self.most, self.charged + self.held)

    def settles(self, held: int, used: int) -> None:
        self.held -= held
        self.charged += used
        self.most = max(self.most, self.charged + self.held)

    @property
    def room(self) -> int:
        return self.cap - self.charged - self.held


class Worker:
    """One owner with its requests."""

    def __init__(self, number: int, memory: MeterMemory, clock: LoopClock, meter: Meter) -> None:
        self.owner = f"state:{number}"
        self.store = MemoryMeters(memory)
        self.leasing = Leasing(self.store, self.owner, clock)
        self.meter = meter
        self.key = "tenant:acme|x||"
        self.spent = 0  # since it began: its journal
        self.holding: dict[Hold, int] = {}
        self.alive = True
        self._bundle: Bundle | None = None

    def bundle(self) -> Bundle:
        if self._bundle is None:
            self._bundle = self.leasing.bundle([self.leasing.bucket(self.meter, self.key)])
        return self._bundle


def simulate(plan: Simulated) -> Outcome:
    """Runs it to its end."""
    loop = JumpingLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_simulate(plan, loop))


async def _simulate(plan: Simulated, loop: JumpingLoop) -> Outcome:
    clock = LoopClock(loop)
    memory = Forgetful() if plan.forgetful else MeterMemory()
    meter = Meter(
        "tenant",
        plan.quantity,
        plan.cap,
        plan.cap,
        Window("none" if plan.quantity == CONCURRENT else "lifetime"),
        (),
        "",
        "x",
    )
    witness, outcome = Witness(plan.cap), Outcome()
    workers = [Worker(number, memory, clock, meter) for number in range(plan.workers)]
    left = iter(range(plan.requests))
    ticking = asyncio.create_task(_tick(workers, loop))
    callers = [
        asyncio.create_task(_caller(plan, worker, number, left, witness, outcome))
        for worker in workers
        for number in range(plan.callers)
    ]
    for kill in range(plan.kills):
        await asyncio.sleep(2.0)
        await _die(workers, kill, memory, clock, meter, witness, outcome)
    await asyncio.gather(*callers)
    ticking.cancel()
    for worker in workers:
        await worker.leasing.stop()
        outcome.calls += worker.leasing.exchanges
    [state] = [authority.decode(raw) for raw in memory.states.values()]
    outcome.overshoot = max(0, witness.most - plan.cap)
    outcome.left_held = state.leased() + witness.held
    outcome.rest = plan.cap - state.used(clock.wall_ns() // 10**9)
    return outcome


async def _tick(workers: list[Worker], loop: JumpingLoop) -> None:
    while True:
        await asyncio.sleep(0.25)
        for worker in workers:
            if worker.alive:
                worker.leasing.tick(loop.time())


async def _caller(
    plan: Simulated, worker: Worker, number: int, left: Iterator[int], witness: Witness, outcome: Outcome
) -> None:
    chance = random.Random(f"{plan.seed}/{worker.owner}/{number}")
    for _ in left:
        await asyncio.sleep(chance.expovariate(1.0))
        if not worker.alive:
            return
        amount = 1 if plan.quantity in (REQUESTS, CONCURRENT) else chance.randint(1, plan.largest)
        needs = tuple(amount if each == plan.quantity else 0 for each in range(5))
        try:
            hold = await worker.leasing.hold_or_wait(worker.bundle(), needs)  # type: ignore[arg-type]
        except MetersUnavailable:
            if worker.alive:
                raise
            return  # it died while this one waited
        except Short:
            outcome.refused += 1
            if witness.room * NOT_NEAR > witness.cap and (plan.quantity != CONCURRENT or witness.room >= 16):
                outcome.judged += 1
                if witness.room >= amount:
                    outcome.false.append(f"{amount} refused, {witness.room} left")
            continue
        outcome.admitted += 1
        outcome.judged += witness.room * NOT_NEAR > witness.cap
        used = 0 if plan.quantity == CONCURRENT else amount if plan.quantity == REQUESTS else chance.randint(0, amount)
        witness.holds(amount)
        worker.holding[hold] = amount
        await asyncio.sleep(chance.random() * 2)
        if not worker.alive:
            return  # its request died with it
        del worker.holding[hold]
        witness.settles(amount, used)
        worker.spent += used
        worker.leasing.settle(hold, tuple(used if each == plan.quantity else 0 for each in range(5)))  # type: ignore[arg-type]


async def _die(
    workers: list[Worker],
    which: int,
    memory: MeterMemory,
    clock: LoopClock,
    meter: Meter,
    witness: Witness,
    outcome: Outcome,
) -> None:
    """A worker ends as a crash ends it, and its journal is read: what ran is charged what it held."""
    worker = next(each for each in workers if each.alive)
    worker.alive = False
    await worker.store.close()
    worker.store.down = True
    outcome.calls += worker.leasing.exchanges
    await asyncio.sleep(1.0)  # the keeper
    for amount in worker.holding.values():
        witness.settles(amount, amount)
    spent = worker.spent + sum(worker.holding.values())
    raw = memory.states.get(worker.key)
    if raw is not None:
        state = authority.decode(raw)
        lease = state.leases.get(worker.owner)
        untold = spent - (lease.spent if lease is not None else 0)
        now_s = clock.wall_ns() // 10**9
        authority.settle_dead(state, worker.owner, [(0, untold)] if untold else [], now_s)
        memory.states[worker.key] = authority.encode(state)
    workers.remove(worker)
    workers.append(Worker(len(workers) + 100 + which, memory, clock, meter))

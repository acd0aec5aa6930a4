"""Leasing with the store in memory. Cancelled: tests/integration/test_leasing_cancelled.py; with real stores:
tests/contract/test_meter_stores.py."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from gateway.clock import ManualClock, SystemClock, within
from gateway.config.snapshot_meters import CONCURRENT, MONEY, OUTPUT, REQUESTS
from gateway.dataplane.leasing import RETRY_FIRST_S, Leasing, Short
from gateway.errors import MetersUnavailable
from gateway.policy.authority import decode
from gateway.policy.leases import NOTHING, Bucket, Hold, Needs
from gateway.policy.waiting import FUTILE_S
from gateway.store.meters import Change, T
from gateway.store.meters_memory import MemoryMeters, MeterMemory
from tests.support.meters import Judged, SerialLedger, Workers, meter, needs, rolling

CENT = needs(nanos=10_000_000)


def run(scene: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await scene()

    asyncio.run(whole())


def test_what_is_local_is_held_without_asking() -> None:
    async def scene() -> None:
        workers = Workers()
        leasing, bundle = workers.all[0], workers.bundle(0, ("m", meter(MONEY, 10**9)))
        assert isinstance(leasing.hold(bundle, CENT), Bucket)
        first = await leasing.hold_or_wait(bundle, CENT)
        exchanges = leasing.exchanges
        second = leasing.hold(bundle, CENT)
        assert isinstance(second, Hold)
        assert leasing.exchanges == exchanges
        for hold in (first, second):
            leasing.settle(hold, needs(nanos=4_000_000))
        await workers.stop()
        assert workers.state("m").settled == 8_000_000

    run(scene)


def test_the_first_request_brings_a_slice_of_every_bucket_it_falls_into() -> None:
    async def scene() -> None:
        workers = Workers()
        leasing = workers.all[0]
        bundle = workers.bundle(0, ("m", meter(MONEY, 10**9)), ("c", meter(CONCURRENT, 800)))
        for _ in range(8):
            leasing.settle(await leasing.hold_or_wait(bundle, needs(concurrent=1, nanos=9)), needs(concurrent=1))
        assert leasing.exchanges == 1
        assert [bucket.slack for bucket in bundle.buckets] == [72, 8]

    run(scene)


def test_a_cap_is_refused_at_once_when_it_can_never_fit_and_zero_lets_nothing_through() -> None:
    async def scene() -> None:
        workers = Workers()
        leasing = workers.all[0]
        for key, cap in (("small", 9_999_999), ("none", 0)):
            with pytest.raises(Short) as refused:
                await leasing.hold_or_wait(workers.bundle(0, (key, meter(MONEY, cap))), CENT)
            assert refused.value.bucket.key == key
        assert (leasing.exchanges, leasing.refusals) == (0, 2)

    run(scene)


def test_one_worker_refuses_nothing_that_a_serial_meter_would_admit() -> None:
    async def scene(seed: int) -> None:
        draw = random.Random(seed)
        workers = Workers()
        leasing = workers.all[0]
        ledgers = {"m": SerialLedger(3_000), "o": SerialLedger(5_000)}
        bundle = workers.bundle(0, ("m", meter(MONEY, 3_000)), ("o", meter(OUTPUT, 5_000)))

        def judge(wanted: Needs, admitted: bool) -> None:
            nanos, output = wanted[MONEY], wanted[OUTPUT]
            fits = all(
                ledger.used(0) + amount <= ledger.cap
                for ledger, amount in ((ledgers["m"], nanos), (ledgers["o"], output))
            )
            assert admitted == fits
            if admitted:
                assert ledgers["m"].hold(nanos, 0)
                assert ledgers["o"].hold(output, 0)

        asked = NOTHING
        loop = asyncio.get_running_loop()
        loop.create_future = lambda: Judged(asked, judge)  # type: ignore[method-assign]

        async def ask() -> None:
            nonlocal asked
            asked = wanted = needs(output=draw.randrange(1, 90), nanos=draw.randrange(1, 60))
            held = leasing.hold(bundle, wanted)
            if isinstance(held, Hold):
                judge(wanted, True)
            else:
                try:
                    held = await leasing.hold_or_wait(bundle, wanted)
                except Short:
                    return
            for _ in range(draw.randrange(5)):
                await asyncio.sleep(0)
            used = needs(output=draw.randrange(wanted[OUTPUT] + 1), nanos=draw.randrange(wanted[MONEY] + 1))
            ledgers["m"].settle(wanted[MONEY], used[MONEY], 0)
            ledgers["o"].settle(wanted[OUTPUT], used[OUTPUT], 0)
            leasing.settle(held, used)

        for _ in range(30):
            await asyncio.gather(*(ask() for _ in range(draw.randrange(1, 20))))
        await workers.stop()
        assert workers.state("m").settled == ledgers["m"].used(0)

    for seed in range(10):
        run(lambda seed=seed: scene(seed))  # type: ignore[misc]


@pytest.mark.parametrize("seed", range(4))
def test_four_workers_never_overshoot_and_leave_nothing_that_could_be_spent(seed: int) -> None:
    async def scene() -> None:
        draw = random.Random(seed)
        workers = Workers(4)
        caps = {"m": (MONEY, 20_000), "o": (OUTPUT, 30_000), "c": (CONCURRENT, 12), "r": (REQUESTS, 2_000)}
        ledgers = {key: SerialLedger(cap) for key, (_, cap) in caps.items()}

        async def ask(worker: int) -> None:
            leasing = workers.all[worker]
            bundle = workers.bundle(worker, *((key, meter(*each)) for key, each in caps.items()))
            wanted = needs(1, 0, draw.randrange(1, 200), 1, draw.randrange(1, 100))
            try:
                hold = await leasing.hold_or_wait(bundle, wanted)
            except Short:
                return
            for key, (quantity, _) in caps.items():
                assert ledgers[key].hold(wanted[quantity], 0), key
            await asyncio.sleep(draw.random() * 0.002)
            if draw.random() < 0.5 and await leasing.extend(hold, 20, 10):
                assert ledgers["o"].hold(20, 0)
                assert ledgers["m"].hold(10, 0)
            wanted = hold.amounts
            used = needs(1, 0, draw.randrange(wanted[OUTPUT] + 1), 1, draw.randrange(wanted[MONEY] + 1))
            for key, (quantity, _) in caps.items():
                spent = 0 if quantity == CONCURRENT else used[quantity]
                ledgers[key].settle(wanted[quantity], spent, 0)
            leasing.settle(hold, used)

        async def ask_for_long(worker: int) -> None:
            for _ in range(60):
                await ask(worker)

        await asyncio.gather(*(ask_for_long(worker) for worker in range(4) for _ in range(6)))
        left = 20_000 - ledgers["m"].used(0)
        if left:  # one nano-dollar after the other: all of it can be spent, whoever asks
            for n in range(left):
                bundle = workers.bundle(n % 4, ("m", meter(MONEY, 20_000)))
                workers.all[n % 4].settle(await workers.all[n % 4].hold_or_wait(bundle, needs(nanos=1)), needs(nanos=1))
        await workers.stop()
        assert workers.state("m").settled == 20_000

    run(scene)


def test_what_another_worker_does_not_need_is_recalled() -> None:
    async def scene() -> None:
        workers = Workers(2)
        shared = ("m", meter(MONEY, 800_000_000))
        first, second = workers.bundle(0, shared), workers.bundle(1, shared)
        workers.all[0].settle(await workers.all[0].hold_or_wait(first, CENT), CENT)
        assert first.buckets[0].slack > 0
        hold = await workers.all[1].hold_or_wait(second, needs(nanos=790_000_000))
        assert first.buckets[0].slack == 0
        assert (workers.all[1].recalls, workers.all[0].recalled) == (1, 1)
        with pytest.raises(Short):
            await workers.all[0].hold_or_wait(first, CENT)
        workers.all[1].settle(hold, needs())
        await asyncio.sleep(FUTILE_S)  # so long it does not ask again what others have
        await workers.all[0].hold_or_wait(first, CENT)

    run(scene)


def test_steady_load_asks_the_authority_less_than_once_in_fifty_requests() -> None:
    async def scene() -> None:
        clock = ManualClock()
        workers = Workers(1, clock)
        leasing = workers.all[0]
        meters = [("m", meter(MONEY, 10**15)), ("m2", meter(MONEY, 10**14)), ("o", meter(OUTPUT, 10**12))]
        bundle = workers.bundle(0, *meters, ("r", meter(REQUESTS, 10**9, rolling(60))), ("c", meter(CONCURRENT, 10**5)))

        async def serve(count: int) -> None:
            for _ in range(count):
                hold = await leasing.hold_or_wait(bundle, needs(1, 500, 1_000, 1, 200_000))
                clock.advance(0.02)
                leasing.settle(hold, needs(1, 400, 300, 1, 50_000))
                leasing.tick(clock.monotonic_s())
                await asyncio.sleep(0)

        await serve(500)  # until the slices have grown
        before = leasing.exchanges
        await serve(5_000)
        assert leasing.exchanges - before <= 100

    run(scene)


def test_what_was_held_and_is_free_again_is_not_told() -> None:
    async def scene() -> None:
        told: list[str] = []

        class Heard(MemoryMeters):
            async def update(self, keys: Sequence[str], change: Change[T], *, restating: bool = False) -> dict[str, T]:
                told.extend(keys)
                return await super().update(keys, change, restating=restating)

        clock = ManualClock()
        leasing = Leasing(Heard(MeterMemory()), "s:1", clock)
        buckets = [leasing.bucket(meter(MONEY, 10**9), "m"), leasing.bucket(meter(CONCURRENT, 100), "c")]
        bundle = leasing.bundle(buckets)
        leasing.settle(await leasing.hold_or_wait(bundle, needs(concurrent=1, nanos=9)), needs(concurrent=1))
        running = await leasing.hold_or_wait(bundle, needs(concurrent=1, nanos=9))
        done = await leasing.hold_or_wait(bundle, needs(concurrent=1, nanos=9))
        leasing.settle(done, needs(concurrent=1, nanos=5))
        told.clear()
        leasing.tell()
        await asyncio.sleep(0.0)
        await leasing.granted()
        assert told == ["m"]
        assert list(leasing.leases.fresh) == []
        assert buckets[1] in leasing.leases.busy
        leasing.settle(running, needs(concurrent=1, nanos=7))
        await leasing.stop()
        assert sorted(told) == ["c", "m", "m"], "what was not used of both is given back"

    run(scene)


def test_what_was_spent_leaves_a_rolling_window_with_its_slot() -> None:
    async def scene() -> None:
        clock = ManualClock()
        workers = Workers(2, clock)
        limit = ("r", meter(REQUESTS, 5, rolling(10)))
        bundle = workers.bundle(0, limit)
        for _ in range(5):
            await workers.all[0].hold_or_wait(bundle, needs(requests=1))
        for waited_s, lets in ((0.0, False), (9.0, False), (2.0, True)):
            clock.advance(waited_s)
            other = workers.all[1].hold_or_wait(workers.bundle(1, limit), needs(requests=1), 0.0)
            if lets:
                await other
            else:
                with pytest.raises(Short) as refused:
                    await other
                assert refused.value.bucket.frees_s == 11 - int(waited_s)

    run(scene)


def test_requests_that_waited_count_in_the_second_they_were_let_in() -> None:
    async def scene() -> None:
        clock = ManualClock(wall_ns=999_900_000_000)
        workers = Workers(1, clock)
        leasing, bundle = workers.all[0], workers.bundle(0, ("r", meter(REQUESTS, 5, rolling(10))))
        update = workers.stores[0].update

        async def slowly(*args: Any, **more: Any) -> Any:
            replies = await update(*args, **more)
            clock.advance(0.2)
            return replies

        workers.stores[0].update = slowly  # type: ignore[method-assign]
        await leasing.hold_or_wait(bundle, needs(requests=1))
        clock.advance(1.0)
        leasing.leases.turn(clock.wall_ns())
        assert bundle.buckets[0].spends == [(1_000, 1)]

    run(scene)


def test_a_store_that_does_not_answer_leaves_what_is_local_and_is_asked_again() -> None:
    async def scene() -> None:
        clock = ManualClock()
        workers = Workers(1, clock)
        leasing, store = workers.all[0], workers.stores[0]
        bundle = workers.bundle(0, ("m", meter(MONEY, 10**9)))
        leasing.settle(await leasing.hold_or_wait(bundle, CENT), needs(nanos=1))
        store.down = True
        while isinstance(leasing.hold(bundle, CENT), Hold):
            pass
        with pytest.raises(MetersUnavailable):
            await leasing.hold_or_wait(bundle, CENT)
        exchanges = leasing.exchanges
        with pytest.raises(MetersUnavailable):
            await leasing.hold_or_wait(bundle, CENT)
        assert (leasing.exchanges, leasing.failures) == (exchanges, 1)  # left alone for a while
        store.down = False
        clock.advance(RETRY_FIRST_S)
        await leasing.hold_or_wait(bundle, CENT)
        leasing.tell()

    run(scene)


def test_nobody_waits_for_ever_when_an_exchange_ends_in_a_bug() -> None:
    async def scene() -> None:
        workers = Workers()
        leasing = workers.all[0]
        told: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))

        def broken() -> tuple[int, int]:
            raise ZeroDivisionError("of the test")

        leasing._position = broken
        with pytest.raises(MetersUnavailable):
            await leasing.hold_or_wait(workers.bundle(0, ("m", meter(MONEY, 10**9))), CENT)
        assert leasing.trouble == "of the test"
        gc.collect()
        assert [type(each) for each in told] == [ZeroDivisionError]

    run(scene)


def test_stopping_with_a_store_that_is_down_ends() -> None:
    async def scene() -> None:
        workers = Workers()
        leasing = workers.all[0]
        leasing.settle(await leasing.hold_or_wait(workers.bundle(0, ("m", meter(MONEY, 10**9))), CENT), CENT)
        workers.stores[0].down = True
        await within(leasing.stop(), 60)
        assert workers.state("m").leased() > 0  # the keeper's

    run(scene)


def test_a_crossed_threshold_is_told_once_by_one_worker() -> None:
    async def scene() -> None:
        workers = Workers(3)
        told: list[tuple[str, int]] = []
        warns = ("m", meter(MONEY, 100, warn_at=[50, 80]))
        for leasing in workers.all:
            leasing.on_crossed = lambda bucket, amount: told.append((bucket.key, amount))
        for n in range(95):
            leasing = workers.all[n % 3]
            leasing.settle(await leasing.hold_or_wait(workers.bundle(n % 3, warns), needs(nanos=1)), needs(nanos=1))
        await workers.stop()
        assert told == [("m", 50), ("m", 80)]

    run(scene)


def test_the_position_is_that_of_the_instant_the_report_was_made() -> None:
    async def scene() -> None:
        written = [0]
        memory = MeterMemory()
        leasing = Leasing(MemoryMeters(memory), "s:1", SystemClock(), lambda: (1, written[0]))
        bundle = leasing.bundle([leasing.bucket(meter(MONEY, 10**9), "m")])

        async def served(amounts: Sequence[int]) -> None:
            for amount in amounts:
                hold = await leasing.hold_or_wait(bundle, needs(nanos=10**6))
                leasing.settle(hold, needs(nanos=amount))
                written[0] += amount  # a journal in which each record is as long as its charge
                if amount % 7 == 0:
                    leasing.tell()
                await asyncio.sleep(0)
                lease = decode(memory.states["m"]).leases["s:1"]
                assert lease.spent == lease.offset

        await served(range(1, 200))

    run(scene)


def test_who_hears_that_the_store_grants_again_asks_it_at_once() -> None:
    async def scene() -> None:
        workers = Workers()
        leasing, bundle = workers.all[0], workers.bundle(0, ("m", meter(MONEY, 10**9)))
        workers.stores[0].down = True
        with pytest.raises(MetersUnavailable):
            await leasing.hold_or_wait(bundle, CENT)
        workers.stores[0].down = False
        assert await leasing.granted()
        leasing.settle(await leasing.hold_or_wait(bundle, CENT), CENT)
        await workers.stop()

    run(scene)

"""A request that waits for its meters may be left by its caller at any moment: nothing may stay held."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.config.snapshot_meters import CONCURRENT, MONEY, OUTPUT
from gateway.dataplane.leasing import Short
from gateway.dataplane.stepping import Stepper
from tests.support.meters import Workers, meter, needs


def _scenes() -> dict[str, Callable[[Workers], Awaitable[None]]]:
    async def admitted(workers: Workers) -> None:
        bundle = workers.bundle(0, ("m", meter(MONEY, 10**9)), ("c", meter(CONCURRENT, 9)))
        hold = await workers.all[0].hold_or_wait(bundle, needs(concurrent=1, nanos=50))
        try:
            await asyncio.sleep(0)
        finally:
            workers.all[0].settle(hold, needs(concurrent=1, nanos=10))

    async def recalled(workers: Workers) -> None:
        shared = ("m", meter(MONEY, 900))
        other = workers.bundle(1, shared)
        kept = await workers.all[1].hold_or_wait(other, needs(nanos=50))
        try:
            hold = await workers.all[0].hold_or_wait(workers.bundle(0, shared), needs(nanos=840))
            workers.all[0].settle(hold, needs(nanos=10))
        finally:
            workers.all[1].settle(kept, needs(nanos=10))

    async def extended(workers: Workers) -> None:
        bundle = workers.bundle(0, ("m", meter(MONEY, 10**9)), ("o", meter(OUTPUT, 10**9)))
        hold = await workers.all[0].hold_or_wait(bundle, needs(output=5, nanos=50))
        try:
            while await workers.all[0].extend(hold, 10**8, 50):
                pass
        finally:
            workers.all[0].settle(hold, hold.amounts or needs())

    async def refused(workers: Workers) -> None:
        shared = ("m", meter(MONEY, 900))
        hold = await workers.all[1].hold_or_wait(workers.bundle(1, shared), needs(nanos=500))
        try:
            with pytest.raises(Short):
                await workers.all[0].hold_or_wait(workers.bundle(0, shared), needs(nanos=500), 0.004)
        finally:
            workers.all[1].settle(hold, needs(nanos=10))

    return {each.__name__: each for each in (admitted, recalled, extended, refused)}


@pytest.mark.parametrize("stepped", [False, True], ids=["task", "stepped"])
@pytest.mark.parametrize("name", list(_scenes()))
def test_a_request_cancelled_at_any_await_leaves_nothing_held(name: str, stepped: bool) -> None:
    """The turn of the loop after which it is cancelled goes up until the request ends before it."""

    async def scene(turns: int) -> bool:
        workers = Workers(2)
        request = _scenes()[name](workers)
        if stepped:
            stepper = Stepper(request, asyncio.get_running_loop())  # type: ignore[arg-type]
            stepper.start()
            await _turns(turns, lambda: stepper.ended)
            done = stepper.ended
            stepper.cancel()
            await _turns(50, lambda: stepper.ended)
            assert stepper.ended
        else:
            task = asyncio.ensure_future(request)
            await _turns(turns, task.done)
            done = task.done()
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
        for leasing in workers.all:
            assert not leasing._queue.waiting
            for bucket in leasing.leases.buckets.values():
                assert (bucket.held, bucket.waiting) == (0, 0), bucket.key
        await workers.stop()
        return done

    for turns in range(200):
        if asyncio.run(scene(turns)):
            return
    raise AssertionError("it never ended")


async def _turns(count: int, ended: Callable[[], bool]) -> None:
    for _ in range(count):
        if ended():
            return
        await asyncio.sleep(0 if count < 60 else 0.0005)

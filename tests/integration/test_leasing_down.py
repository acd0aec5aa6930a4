"""Leasing whose store does not answer."""

from __future__ import annotations

import asyncio

from gateway.clock import ManualClock
from gateway.dataplane.leasing import Leasing
from gateway.store.meters import MeterStoreDown
from gateway.store.meters_memory import MemoryMeters, MeterMemory
from tests.support.running import until


class Down(MemoryMeters):
    asked = 0

    async def reconciled(self) -> bool:
        self.asked += 1
        raise MeterStoreDown("not there")


def test_a_store_is_asked_again_also_where_the_timer_comes_too_early() -> None:
    """As those of uvloop do, which count from the beginning of a turn: nobody else may come for long."""

    async def scene() -> None:
        clock = ManualClock()  # of which no time passes
        store = Down(MeterMemory())
        leasing = Leasing(store, "s:1", clock)
        leasing._asked_back(())  # its connection for recalls is there again
        await until(lambda: store.asked == 2, "the second look")
        await leasing.stop()

    asyncio.run(scene())

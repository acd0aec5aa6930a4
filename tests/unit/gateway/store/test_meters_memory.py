from __future__ import annotations

import asyncio

import pytest

from gateway.store.meters import MeterStoreDown
from gateway.store.meters_memory import MemoryMeters


def test_a_store_that_is_down_changes_nothing() -> None:
    async def run() -> None:
        store = MemoryMeters()
        store.down = True
        with pytest.raises(MeterStoreDown):
            await store.update(["k"], lambda key, old: (b"new", None))
        store.down = False
        assert await store.scan() == {}

    asyncio.run(run())

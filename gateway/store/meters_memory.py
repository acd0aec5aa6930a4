"""Meters in memory: for tests, and the reference for the other stores. Nothing is kept when the process ends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from gateway.policy.authority import Spends
from gateway.store.meters import Change, MeterStoreDown, Recalled, T


class MeterMemory:
    """What the owners of one process share."""

    def __init__(self) -> None:
        self.states: dict[str, bytes] = {}
        self.stores: list[MemoryMeters] = []


class MemoryMeters:
    """One owner's way to a `MeterMemory`. `down` makes it fail, as tests need."""

    def __init__(self, memory: MeterMemory | None = None) -> None:
        self._memory = memory or MeterMemory()
        self._memory.stores.append(self)
        self._recalled: Recalled | None = None
        self.down = False

    async def check(self) -> None:
        """Nothing can be wrong."""

    async def update(self, keys: Sequence[str], change: Change[T], *, restating: bool = False) -> dict[str, T]:
        """See `MeterStore`."""
        await asyncio.sleep(0)  # as a real one: the caller waits a turn before, and one after
        if self.down:
            raise MeterStoreDown("the meters' memory is down")
        results: dict[str, T] = {}
        states = self._memory.states
        for key in keys:
            old = states.get(key)
            new, results[key] = change(key, old)
            if new is not None:
                states[key] = new
            elif old is not None:
                del states[key]
        await asyncio.sleep(0)
        return results

    async def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `MeterStore`."""
        states = self._memory.states
        return {key: states[key] for key in keys if key in states}

    async def scan(self, prefix: str = "") -> dict[str, bytes]:
        """See `MeterStore`."""
        return {key: state for key, state in self._memory.states.items() if key.startswith(prefix)}

    async def recall(self, keys: Sequence[str]) -> None:
        """See `MeterStore`."""
        for store in self._memory.stores:
            if store is not self and store._recalled is not None:
                store._recalled(keys)

    def on_recall(self, callback: Recalled) -> None:
        """See `MeterStore`."""
        self._recalled = callback

    async def reconciled(self) -> bool:
        """Always: nothing is lost as long as it is there."""
        return True

    async def restate_done(self, position: tuple[int, int]) -> None:
        """Never unreconciled."""

    async def restated(self) -> dict[str, tuple[int, int]]:
        """Nobody: never unreconciled."""
        return {}

    async def reconcile(self, sums: Mapping[str, Mapping[str, Spends]], now_s: int) -> None:
        """Nothing to do: what is lost is lost with the process."""

    async def close(self) -> None:
        """See `MeterStore`."""
        if self in self._memory.stores:
            self._memory.stores.remove(self)

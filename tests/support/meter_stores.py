"""Every kind of store of meters, for tests: real servers where a kind has one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.store.meters import MeterStore
from gateway.store.meters_memory import MemoryMeters, MeterMemory

KINDS = ["memory"]


@dataclass(frozen=True)
class Site:
    """One store; `make(n)` is the n-th owner's way to it."""

    kind: str
    make: Callable[[int], MeterStore]

    def stores(self, count: int) -> AbstractAsyncContextManager[tuple[MeterStore, ...]]:
        """That many owners' ways to it, checked and closed at the end."""
        return self._stores(count)

    @asynccontextmanager
    async def _stores(self, count: int) -> AsyncIterator[tuple[MeterStore, ...]]:
        made = tuple(self.make(n) for n in range(count))
        try:
            for store in made:
                await store.check()
            yield made
        finally:
            for store in made:
                await store.close()


@contextmanager
def site(kind: str, folder: Path) -> Iterator[Site]:
    """A store of that kind; skips the test where it cannot be."""
    assert kind == "memory"
    memory = MeterMemory()
    yield Site(kind, lambda n: MemoryMeters(memory))

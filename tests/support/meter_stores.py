"""Every kind of store of meters, for tests: real servers where a kind has one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from gateway.store.meters import MeterStore
from gateway.store.meters_memory import MemoryMeters, MeterMemory
from gateway.store.meters_sqlite import SqliteMeters

KINDS = ["memory", "sqlite"]
PROCESSES = ["sqlite"]
"""Those that processes can share."""


@dataclass(frozen=True)
class Site:
    """One store; `make(n)` is the n-th owner's way to it."""

    kind: str
    url: str
    folder: Path
    make: Callable[[int], MeterStore]

    @asynccontextmanager
    async def stores(self, count: int) -> AsyncIterator[tuple[MeterStore, ...]]:
        """That many owners' ways to it, checked and closed at the end."""
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
    memory = MeterMemory()
    if kind == "memory":
        yield Site(kind, "memory", folder, lambda n: MemoryMeters(memory))
    else:
        (folder / "run").mkdir(mode=0o700, exist_ok=True)
        yield Site(kind, "sqlite", folder, lambda n: open_store("sqlite", folder, n))


def open_store(url: str, folder: Path, number: int) -> MeterStore:
    """The store's end for the owner of that number."""
    owner = f"state:{number}-1"
    assert url == "sqlite"
    return SqliteMeters(folder / "meters.sqlite", folder / "run", owner)

"""Every kind of store of meters, for tests: real servers where a kind has one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.store.meters import MeterStore
from gateway.store.meters_memory import MemoryMeters, MeterMemory
from gateway.store.meters_postgres import PostgresMeters
from gateway.store.meters_redis import RedisMeters
from gateway.store.meters_sqlite import SqliteMeters
from tests.support.store_servers import PostgresServer, RedisServer, StoreServer, missing, running

KINDS = ["memory", "sqlite", "redis", "postgresql"]
TIMEOUT_S = 20.0
"""Longer than a machine that is busy with other tests takes."""
PROCESSES = ["sqlite", "redis", "postgresql"]
"""Those that processes can share."""
MARKS = {"redis": [pytest.mark.redis], "postgresql": [pytest.mark.postgresql]}


@dataclass(frozen=True)
class Site:
    """One store; `make(n)` is the n-th owner's way to it."""

    kind: str
    url: str
    folder: Path
    make: Callable[[int], MeterStore]
    server: StoreServer | None = None
    """Where the kind has one."""

    @asynccontextmanager
    async def stores(self, count: int) -> AsyncIterator[tuple[MeterStore, ...]]:
        """That many owners' ways to it, checked and closed at the end."""
        made = tuple(self.make(n) for n in range(count))
        try:
            for store in made:
                await store.check()
                if not await store.reconciled():  # new: there is no ledger yet
                    await store.reconcile({}, 0)
            yield made
        finally:
            for store in made:
                await store.close()

    async def wipe(self) -> None:
        """Forgets all."""
        async with self.stores(1) as (store,):
            await store.update(list(await store.scan()), lambda key, old: (None, None))


@contextmanager
def site(kind: str, folder: Path) -> Iterator[Site]:
    """A store of that kind; skips the test where it cannot be."""
    memory = MeterMemory()
    if kind == "memory":
        yield Site(kind, "memory", folder, lambda n: MemoryMeters(memory))
    elif kind == "sqlite":
        (folder / "run").mkdir(mode=0o700, exist_ok=True)
        yield Site(kind, "sqlite", folder, lambda n: open_store("sqlite", folder, n))
    else:
        if reason := missing(kind):
            pytest.skip(reason)
        with running(RedisServer() if kind == "redis" else PostgresServer()) as server:
            yield Site(kind, server.url, folder, lambda n: open_store(server.url, folder, n), server)


def open_store(url: str, folder: Path, number: int) -> MeterStore:
    """The store's end for the owner of that number."""
    owner = f"state:{number}-1"
    if url.startswith("redis"):
        return RedisMeters(url, owner, TIMEOUT_S)
    if url.startswith("postgres"):
        return PostgresMeters(url, owner, TIMEOUT_S)
    return SqliteMeters(folder / "meters.sqlite", folder / "run", owner, TIMEOUT_S)

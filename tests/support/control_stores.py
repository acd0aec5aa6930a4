"""Every kind of control store, for tests: a real server where a kind has one."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.config.entries import EntryId
from gateway.store.control import heads
from gateway.store.control.base import ControlStore, Put, Who
from gateway.store.control.opening import DATABASE, open_store
from tests.support.store_servers import PostgresServer, missing, running

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
ALICE = Who("alice", "alice@example.org", "api", "req_1")
BOB = Who("bob", "bob@example.org", "cli")
TABLES = [f"lockgate_control_{name}" for name in ("meta", "entries", "changes", "answers")]
ACME = EntryId("tenant", "", "acme")


@dataclass(frozen=True)
class Site:
    """One store, for as many as ask."""

    kind: str
    url: str
    folder: Path
    """The state directory."""
    server: PostgresServer | None = None

    @property
    def heads(self) -> Path:
        """Where heads are noted."""
        return self.folder / (heads.FILE if self.server is None else heads.FILE_OF_POSTGRESQL)

    @asynccontextmanager
    async def stores(self, count: int) -> AsyncIterator[tuple[ControlStore, ...]]:
        """That many ways to it, opened, and closed at the end."""
        made = tuple(open_store(self.url, self.folder) for _ in range(count))
        try:
            for store in made:
                await store.open()
            yield made
        finally:
            for store in made:
                await store.close()

    @asynccontextmanager
    async def store(self) -> AsyncIterator[ControlStore]:
        """One of them."""
        async with self.stores(1) as (store,):
            yield store

    def wipe(self) -> None:
        """As if it had never been."""
        for path in self.folder.iterdir():
            path.unlink()
        if self.server is not None:
            self.server.query(f"DROP TABLE IF EXISTS {', '.join(TABLES)}")

    def kept(self) -> bytes:
        """All that is on the disk of it: the files; of a database what its tables hold."""
        found = b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())
        if self.server is not None:
            rows = "".join(self.server.query(f"SELECT * FROM {table}") for table in TABLES)
            found += rows.encode() + b"".join(map(bytes.fromhex, re.findall(r"\\x([0-9a-f]+)", rows)))
        return found

    def sql(self, *statements: str) -> None:
        """What someone with a database shell does."""
        if self.server is not None:
            self.server.query(";".join(["BEGIN", *statements, "COMMIT"]))
            return
        with closing(sqlite3.connect(self.folder / DATABASE)) as connection, connection:
            for statement in statements:
                connection.execute(statement)


def site(kind: str, folder: Path, request: pytest.FixtureRequest) -> Site:
    """An empty store of that kind; in the PostgreSQL that all tests share, so at most one at a time."""
    if kind == "sqlite":
        return Site(kind, "sqlite", folder)
    server: PostgresServer = request.getfixturevalue("postgres")
    found = Site(kind, server.url, folder, server)
    found.wipe()
    return found


@contextmanager
def own_postgres(folder: Path) -> Iterator[tuple[Site, PostgresServer]]:
    """A store in a PostgreSQL of its own, which may be stopped; skips the test where it cannot be."""
    if reason := missing("postgresql"):
        pytest.skip(reason)
    server = PostgresServer()
    with running(server):
        yield Site("postgresql", server.url, folder, server), server


def play(place: Site, scene: Callable[[ControlStore], Coroutine[Any, Any, None]]) -> None:
    """Does the scene with one way to the store."""

    async def run() -> None:
        async with place.store() as store:
            await scene(store)

    asyncio.run(run())


def key(name: str, tenant: str = "acme") -> EntryId:
    """A key of a tenant."""
    return EntryId("key", tenant, name)


async def put(store: ControlStore, *steps: Put, now_ns: int = 1, who: Who = ALICE, reason: str = "") -> None:
    """Applies them, as alice."""
    await store.apply(steps, who, reason, now_ns)


async def fill(store: ControlStore, names: Sequence[str]) -> None:
    """Keys of those names, a change each, in one transaction."""
    await put(store, *(Put(key(name), b'{"hash":"sha256:%s"}' % name.encode(), 0) for name in names))

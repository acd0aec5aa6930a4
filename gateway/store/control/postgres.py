"""The control store in PostgreSQL, for gateways on more than one machine: tables `lockgate_control_*`, and the channel
`lockgate_control` on which changes are told.

The row of the head is locked by who writes, so changes have one order. What was committed is on the disk
(`synchronous_commit` is on for our sessions; `open` refuses a server with `fsync` off). LISTEN needs a connection of
its own, not a pooler that hands them out by transaction.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from gateway.clock import within
from gateway.config.entries import Entry
from gateway.errors import ConfigError
from gateway.policy.changes import Head
from gateway.store.control import migrations, queries
from gateway.store.control.base import (
    REMEMBERED_NS,
    Broken,
    Changed,
    Once,
    Remembered,
    Step,
    Verified,
    Who,
)
from gateway.store.control.deciding import Request, Working, asked, emptied
from gateway.store.control.grouping import Groups, Outcome, decided
from gateway.store.control.heads import Heads
from gateway.store.control.postgres_link import CHANNEL, Link
from gateway.store.control.reading import Reading
from gateway.store.control.verifying import verified

POLL_S: Final = 1.0
"""How often `watch` looks without being told."""
VERIFY_S: Final = 600.0

_LOCKED_HEAD: Final = queries.HEAD + " FOR UPDATE"
_THESE: Final = queries.ALL_ENTRIES + (
    " WHERE (kind, tenant, name) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[])) OR tenant = ANY($4)"
)
_MIGRATING: Final = "SELECT pg_advisory_xact_lock(hashtextextended('lockgate_control', 0))"


class PostgresControl(Reading):
    """One process's way to it. See `ControlStore`."""

    def __init__(self, url: str, heads: Heads, timeout_s: float = 5.0) -> None:
        """Raises ConfigError where the client is not installed."""
        self._heads = heads
        self._writes = Link(url, timeout_s)
        self._reads = Link(url, timeout_s)
        self._verifies = Link(url, VERIFY_S)
        self._groups = Groups(self._commit)

    async def open(self) -> None:
        """See `ControlStore`."""
        async with self._writes.asking() as connection:
            await _demand_lasting(connection)
            async with connection.transaction():
                await connection.execute(_MIGRATING)
                there = await connection.fetchval("SELECT to_regclass($1)", migrations.META)
                found = int(await connection.fetchval(queries.SCHEMA)) if there is not None else 0
                for statement in migrations.pending(found, migrations.POSTGRES, "this database"):
                    await connection.execute(statement)

    async def close(self) -> None:
        """See `ControlStore`."""
        await self._groups.finished()
        await asyncio.to_thread(self._heads.finish)
        for link in (self._writes, self._reads, self._verifies):
            await link.close()

    async def changed_since(self, seq: int) -> tuple[int, list[Changed]]:
        """See `ControlStore`."""
        async with (
            self._reads.asking() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            head = await _head(connection)
            rows = await connection.fetch(queries.CHANGED, seq)
        return head.seq, [queries.changed_of(row) for row in rows]

    async def apply(
        self, steps: Sequence[Step], who: Who, reason: str, now_ns: int, *, once: Once | None = None
    ) -> list[Entry]:
        """See `ControlStore`."""
        return await self._groups.do(Request(steps, who, reason, now_ns, once))

    async def verify(self, known: Sequence[Head] = ()) -> Verified | Broken:
        """See `ControlStore`."""
        noted = await asyncio.to_thread(self._heads.read)  # before the changes: these are at least as far
        async with (
            self._verifies.asking() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            head = await _head(connection)
            changes = await connection.fetch(queries.ALL_CHANGES)
            entries = await connection.fetch(queries.ALL_ENTRIES)
        await self._verifies.close()

        def judge() -> Verified | Broken:
            found = verified(map(queries.change_of, changes), map(queries.entry_of, entries), head, [*known, *noted])
            if isinstance(found, Verified):
                self._heads.note(found.head)
            return found

        return await asyncio.to_thread(judge)

    async def watch(self) -> AsyncIterator[None]:
        """See `ControlStore`."""
        seen: Head | None = None
        async with self._writes.another().listening() as (connection, told):
            while True:
                told.clear()
                head = await _head(connection)
                if head != seen:
                    seen = head
                    yield
                with contextlib.suppress(TimeoutError):
                    await within(told.wait(), POLL_S)

    async def _rows(self, text: str, *values: Any) -> Sequence[Any]:
        async with self._reads.asking() as connection:
            found: Sequence[Any] = await connection.fetch(text, *values)
            return found

    async def _commit(self, requests: Sequence[Request]) -> list[Outcome]:
        """One transaction for all of them."""
        async with self._writes.asking() as connection, connection.transaction():
            working = await _working(connection, requests)
            outcomes = decided(working, requests)
            await _write(connection, working, requests)
        if working.changes:
            await asyncio.to_thread(self._heads.wrote, working.head)
        return outcomes


async def _demand_lasting(connection: Any) -> None:
    if await connection.fetchval("SELECT pg_is_in_recovery()"):
        raise ConfigError("stores.control: this PostgreSQL is a standby, which cannot be written; name the primary")
    if await connection.fetchval("SHOW fsync") != "on":
        raise ConfigError("stores.control: this PostgreSQL may forget what was changed: set `fsync = on` in it")


async def _head(connection: Any) -> Head:
    return queries.head_of(await connection.fetch(queries.HEAD))


async def _working(connection: Any, requests: Sequence[Request]) -> Working:
    head = queries.head_of(await connection.fetch(_LOCKED_HEAD))
    these = list(asked(requests))
    columns = [[of[n] for of in these] for n in range(3)]
    found = await connection.fetch(_THESE, *columns, list(emptied(requests)))
    remembered = {}
    for request in requests:
        if (once := request.once) is not None:
            oldest = request.now_ns - REMEMBERED_NS
            row = await connection.fetchrow(queries.ANSWER, once.principal, once.key, oldest)
            if row is not None:
                remembered[once.principal, once.key] = Remembered(*row)
    return Working(head, map(queries.entry_of, found), remembered)


async def _write(connection: Any, working: Working, requests: Sequence[Request]) -> None:
    if working.changes:
        await connection.executemany(queries.WRITE_ENTRY, list(map(queries.entry_row, working.written.values())))
        await connection.executemany(queries.WRITE_CHANGE, list(map(queries.change_row, working.changes)))
        await connection.execute(queries.SET_HEAD, str(working.head))
        await connection.execute("SELECT pg_notify($1, '')", CHANNEL)
    if working.answered:
        oldest = max(request.now_ns for request in requests) - REMEMBERED_NS
        await connection.execute(queries.FORGET, oldest)
        await connection.executemany(queries.WRITE_ANSWER, list(map(queries.answer_row, working.answered)))

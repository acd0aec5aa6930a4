"""The control store in a SQLite database in the state directory: what one machine needs.

Three threads touch the disk, so that no one waits for another: one writes, one reads, one verifies. The control
process and commands may use the same file at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.clock import within
from gateway.config.entries import Entry
from gateway.errors import ConfigError
from gateway.policy.changes import Head
from gateway.store.control import migrations, queries
from gateway.store.control.base import (
    REMEMBERED_NS,
    Broken,
    Changed,
    ControlStoreDown,
    Once,
    Remembered,
    Step,
    Verified,
    Who,
)
from gateway.store.control.deciding import Request, Working, asked, emptied
from gateway.store.control.grouping import Groups, Outcome, decided
from gateway.store.control.heads import Heads
from gateway.store.control.reading import Reading
from gateway.store.control.sqlite_file import TURN_S, ControlFile, explained
from gateway.store.control.verifying import verified

POLL_S: Final = 0.2
"""How often `watch` looks."""
GIVE_UP_S: Final = 3 * TURN_S
"""A disk that has not answered after this time hangs."""
VERIFY_S: Final = 600.0

_R = TypeVar("_R")


class SqliteControl(Reading):
    """One process's way to the file. See `ControlStore`."""

    def __init__(self, path: Path, heads: Heads, turn_s: float = TURN_S) -> None:
        """`path`: the database, made by `open` when it is not there."""
        self._path = path
        self._heads = heads
        self._writes = _Thread(ControlFile(path, turn_s), "control-writes")
        self._reads = _Thread(ControlFile(path, turn_s), "control-reads")
        self._groups = Groups(lambda requests: self._writes.do(lambda file: self._commit(file, requests)))
        self._turn_s = turn_s

    async def open(self) -> None:
        """See `ControlStore`."""
        await self._writes.do(_migrate)

    async def close(self) -> None:
        """See `ControlStore`."""
        await self._groups.finished()
        await asyncio.to_thread(self._heads.finish)
        await self._reads.close()
        await self._writes.close()

    async def changed_since(self, seq: int) -> tuple[int, list[Changed]]:
        """See `ControlStore`."""

        def read(file: ControlFile) -> tuple[int, list[tuple[Any, ...]]]:
            with _reading(file.connection()) as connection:
                return _head(connection).seq, _all(connection, queries.CHANGED, (seq,))

        revision, rows = await self._reads.do(read)
        return revision, [queries.changed_of(row) for row in rows]

    async def apply(
        self, steps: Sequence[Step], who: Who, reason: str, now_ns: int, *, once: Once | None = None
    ) -> list[Entry]:
        """See `ControlStore`."""
        return await self._groups.do(Request(steps, who, reason, now_ns, once))

    async def verify(self, known: Sequence[Head] = ()) -> Verified | Broken:
        """See `ControlStore`."""

        def read(file: ControlFile) -> Verified | Broken:
            noted = self._heads.read()  # before the changes: these are at least as far
            with _reading(file.connection()) as connection:
                changes = map(queries.change_of, connection.execute(queries.ALL_CHANGES))
                entries = map(queries.entry_of, connection.execute(queries.ALL_ENTRIES))
                return verified(changes, entries, _head(connection), [*known, *noted])

        thread = _Thread(ControlFile(self._path, self._turn_s), "control-verify", VERIFY_S)
        try:
            found = await thread.do(read)
        finally:
            await thread.close()
        if isinstance(found, Verified):
            self._heads.note(found.head)
        return found

    async def watch(self) -> AsyncIterator[None]:
        """See `ControlStore`."""
        seen: Head | None = None
        while True:
            head = await self._reads.do(lambda file: _head(file.connection()))
            if head != seen:
                seen = head
                yield
            await asyncio.sleep(POLL_S)

    async def _rows(self, text: str, *values: Any) -> Sequence[Any]:
        return await self._reads.do(lambda file: _all(file.connection(), text, values))

    def _commit(self, file: ControlFile, requests: Sequence[Request]) -> list[Outcome]:
        """One transaction for all of them; in the thread that writes."""
        connection = file.connection()
        with file.writing(connection):
            working = _working(connection, requests)
            outcomes = decided(working, requests)
            _write(connection, working, requests)
        if working.changes:
            self._heads.wrote(working.head)
        return outcomes


class _Thread:
    """A thread with its own connection; what goes wrong there is told in an administrator's terms."""

    def __init__(self, file: ControlFile, name: str, give_up_s: float = GIVE_UP_S) -> None:
        self._file = file
        self._give_up_s = give_up_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    async def do(self, work: Callable[[ControlFile], _R]) -> _R:
        done = asyncio.get_running_loop().run_in_executor(self._thread, work, self._file)
        try:
            return await within(asyncio.shield(done), self._give_up_s)
        except asyncio.CancelledError:
            done.add_done_callback(_heed)
            raise
        except TimeoutError as error:
            done.add_done_callback(_heed)
            raise ControlStoreDown(
                f"{self._file.path} did not answer within {self._give_up_s:g} s: the disk hangs; what was asked may "
                "still happen"
            ) from error
        except (sqlite3.Error, OSError) as error:
            raise ControlStoreDown(explained(error, self._file.path)) from error

    async def close(self) -> None:
        with contextlib.suppress(ControlStoreDown):
            await self.do(ControlFile.close)
        self._thread.shutdown(wait=False)


def _heed(done: asyncio.Future[_R]) -> None:
    """Nobody waits for it any more: its error, too, is of no interest."""
    if not done.cancelled():
        done.exception()


def _migrate(file: ControlFile) -> None:
    connection = file.make()
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        raise ConfigError(
            f"stores.control: {file.path} lies on a file system without shared memory; put the state directory on a "
            "local disk, or use PostgreSQL"
        )
    with file.writing(connection):
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (migrations.META,)).fetchone()
        found = int(connection.execute(queries.SCHEMA).fetchone()[0]) if tables else 0
        for statement in migrations.pending(found, migrations.SQLITE, str(file.path)):
            connection.execute(statement)


@contextlib.contextmanager
def _reading(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All reads of the block see the same moment; nobody waits for them."""
    connection.execute("BEGIN")
    try:
        yield connection
    finally:
        connection.execute("ROLLBACK")


def _all(connection: sqlite3.Connection, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    return connection.execute(_numbered(text), values).fetchall()


def _numbered(text: str) -> str:
    return text.replace("$", "?")


def _head(connection: sqlite3.Connection) -> Head:
    return queries.head_of(_all(connection, queries.HEAD))


def _recalled(connection: sqlite3.Connection, principal: str, key: str, now_ns: int) -> Remembered | None:
    rows = _all(connection, queries.ANSWER, (principal, key, now_ns - REMEMBERED_NS))
    return Remembered(*rows[0]) if rows else None


def _working(connection: sqlite3.Connection, requests: Sequence[Request]) -> Working:
    found = [row for of in asked(requests) for row in _all(connection, queries.ONE_ENTRY, of)]
    found += [row for tenant in emptied(requests) for row in _all(connection, queries.OF_TENANT, (tenant,))]
    remembered = {}
    for request in requests:
        if (once := request.once) is not None:
            before = _recalled(connection, once.principal, once.key, request.now_ns)
            if before is not None:
                remembered[once.principal, once.key] = before
    return Working(_head(connection), map(queries.entry_of, found), remembered)


def _write(connection: sqlite3.Connection, working: Working, requests: Sequence[Request]) -> None:
    if working.changes:
        connection.executemany(_numbered(queries.WRITE_ENTRY), map(queries.entry_row, working.written.values()))
        connection.executemany(_numbered(queries.WRITE_CHANGE), map(queries.change_row, working.changes))
        connection.execute(_numbered(queries.SET_HEAD), (str(working.head),))
    if working.answered:
        oldest = max(request.now_ns for request in requests) - REMEMBERED_NS
        connection.execute(_numbered(queries.FORGET), (oldest,))
        connection.executemany(_numbered(queries.WRITE_ANSWER), map(queries.answer_row, working.answered))

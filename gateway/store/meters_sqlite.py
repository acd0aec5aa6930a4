"""Meters in a SQLite database in the state directory: exact across all workers of one machine, and across a power cut.

One writer at a time: a lock file beside the database says whose turn it is, since SQLite itself would poll for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from gateway.clock import within
from gateway.errors import ConfigError
from gateway.policy.authority import Spends
from gateway.store.meters import Change, MeterStoreDown, Recalled, T
from gateway.store.recall_sockets import RecallSockets

TIMEOUT_S: Final = 2.0
"""No answer within this time is none: a disk that hangs, or an owner that was stopped within its turn."""
MOST_KEYS: Final = 500
"""In one statement."""

_R = TypeVar("_R")


class SqliteMeters:
    """One owner's way to the database. Its own thread does what touches the disk."""

    def __init__(self, path: Path, run: Path, owner: str, timeout_s: float = TIMEOUT_S) -> None:
        """`path`: the database, made when it is not there; `run`: the folder of the sockets for recalls."""
        self._path = path
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="meters")
        self._database: sqlite3.Connection | None = None
        self._lock_fd = -1
        self._sockets = RecallSockets(run, owner)

    async def check(self) -> None:
        """Raises ConfigError when this cannot be a database of meters that lasts."""
        try:
            await self._do(self._check)
        except MeterStoreDown as error:
            raise ConfigError(f"stores.meters: {error}") from error

    async def update(self, keys: Sequence[str], change: Change[T], *, restating: bool = False) -> dict[str, T]:
        """See `MeterStore`."""
        return await self._do(lambda: self._update(keys, change)) if keys else {}

    async def read(self, keys: Sequence[str]) -> dict[str, bytes]:
        """See `MeterStore`."""
        return await self._do(lambda: self._read(keys)) if keys else {}

    async def scan(self, prefix: str = "") -> dict[str, bytes]:
        """See `MeterStore`."""
        return await self._do(
            lambda: dict(
                self._open()
                .execute(
                    "SELECT key, state FROM meters WHERE key >= ? AND key < ? || char(1114111)",  # the last character
                    (prefix, prefix),
                )
                .fetchall()
            )
        )

    async def recall(self, keys: Sequence[str]) -> None:
        """See `MeterStore`."""
        self._sockets.send(keys)

    def on_recall(self, callback: Recalled) -> None:
        """Needs a running loop. See `MeterStore`."""
        self._sockets.listen(callback)

    async def reconciled(self) -> bool:
        """Always: nothing is lost as long as it is there."""
        return True

    async def restate_done(self, position: tuple[int, int]) -> None:
        """Never unreconciled: what was committed is on the disk."""

    async def restated(self) -> dict[str, tuple[int, int]]:
        """Nobody."""
        return {}

    async def reconcile(self, sums: Mapping[str, Mapping[str, Spends]], now_s: int) -> None:
        """Nothing is ever lost here."""

    async def close(self) -> None:
        """See `MeterStore`."""
        self._sockets.close()
        with contextlib.suppress(MeterStoreDown):
            await self._do(self._close)
        self._thread.shutdown(wait=False)

    # -- in its thread

    async def _do(self, work: Callable[[], _R]) -> _R:
        done = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await within(asyncio.shield(done), self._timeout_s)
        except TimeoutError as error:
            done.add_done_callback(_heed)
            raise MeterStoreDown(f"{self._path} did not answer within {self._timeout_s:g} s") from error
        except (sqlite3.Error, OSError) as error:
            raise MeterStoreDown(f"{self._path}: {error}") from error

    def _open(self) -> sqlite3.Connection:
        database = self._database
        if database is None:
            self._lock_fd = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            database = sqlite3.connect(
                self._path, timeout=self._timeout_s, isolation_level=None, check_same_thread=False
            )
            try:
                with self._turn():
                    database.execute("PRAGMA journal_mode = WAL")
                    database.execute(
                        "CREATE TABLE IF NOT EXISTS meters (key TEXT PRIMARY KEY, state BLOB NOT NULL) WITHOUT ROWID"
                    )
                database.execute("PRAGMA synchronous = FULL")
            except sqlite3.Error:
                database.close()
                os.close(self._lock_fd)
                raise
            self._database = database
        return database

    def _check(self) -> None:
        (mode,) = self._open().execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            raise MeterStoreDown(
                f"{self._path} lies on a file system without shared memory; use a local disk, or Redis or PostgreSQL"
            )

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        fcntl.flock(self._lock_fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)

    def _read(self, keys: Sequence[str]) -> dict[str, bytes]:
        database = self._open()
        found: dict[str, bytes] = {}
        for first in range(0, len(keys), MOST_KEYS):
            some = keys[first : first + MOST_KEYS]
            marks = ",".join("?" * len(some))
            found.update(database.execute(f"SELECT key, state FROM meters WHERE key IN ({marks})", some))
        return found

    def _update(self, keys: Sequence[str], change: Change[T]) -> dict[str, T]:
        database = self._open()
        results: dict[str, T] = {}
        with self._turn():
            database.execute("BEGIN IMMEDIATE")
            try:
                before = self._read(keys)
                written: list[tuple[str, bytes]] = []
                dropped: list[tuple[str]] = []
                for key in keys:
                    old = before.get(key)
                    new, results[key] = change(key, old)
                    if new is None:
                        dropped.append((key,))
                    elif new != old:
                        written.append((key, new))
                database.executemany("INSERT OR REPLACE INTO meters VALUES (?, ?)", written)
                database.executemany("DELETE FROM meters WHERE key = ?", dropped)
                database.execute("COMMIT")
            except BaseException:
                if database.in_transaction:
                    database.execute("ROLLBACK")
                raise
        return results

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            os.close(self._lock_fd)
            self._database = None


def _heed(done: asyncio.Future[_R]) -> None:
    """What came too late is not wanted, and its error was told already."""
    if not done.cancelled():
        done.exception()

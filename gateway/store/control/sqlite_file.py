"""The file of a control store on SQLite: opened, shared by turns, and what its errors mean for who must act."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway.store.control.base import ControlStoreDown

TURN_S: Final = 5.0
"""How long one waits for the others' turns: they take milliseconds."""
_LOOK_AGAIN_S: Final = 0.001
_DAMAGED: Final = "is damaged: stop the gateway, and restore it from a backup"
_UNWRITABLE: Final = "cannot be written: it or its file system is read-only, or belongs to another user"
_FULL: Final = "cannot be written, the disk is full: nothing was changed; make room on it"
_HELD: Final = "is held by another program (a database shell with an open transaction?): nothing was changed; end that"

_SQLITE: Final = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    sqlite3.SQLITE_READONLY: _UNWRITABLE,
    sqlite3.SQLITE_PERM: _UNWRITABLE,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: its folder must be there, and be ours to read and to write",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
}
_SYSTEM: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _UNWRITABLE,
    errno.EACCES: _UNWRITABLE,
    errno.EPERM: _UNWRITABLE,
    errno.ENOENT: "cannot be made: its folder is not there",
}


class ControlFile:
    """One thread's connection to the file, opened when it is first needed and again when the file was replaced."""

    def __init__(self, path: Path, turn_s: float = TURN_S) -> None:
        self.path = path
        self._turn_s = turn_s
        self._connection: sqlite3.Connection | None = None
        self._identity = (0, 0)

    def make(self) -> sqlite3.Connection:
        """Like `connection`, but makes the file when there is none: private from its first moment, and by one process
        at a time, since SQLite does not wait where its kind of journal is being changed."""
        with self._turn():
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            return self.connection()

    def connection(self) -> sqlite3.Connection:
        """The open file. Raises ControlStoreDown when there is none any more, sqlite3.Error, OSError."""
        try:
            found = self.path.stat()
        except FileNotFoundError as error:
            self.close()
            raise ControlStoreDown(
                f"{self.path} is gone: put it back (from a backup), or start the gateway again to begin a new one"
            ) from error
        if self._connection is None or (found.st_dev, found.st_ino) != self._identity:
            self.close()
            connection = sqlite3.connect(self.path, timeout=self._turn_s, isolation_level=None, check_same_thread=False)
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
            self._identity = (found.st_dev, found.st_ino)
        return self._connection

    @contextlib.contextmanager
    def writing(self, connection: sqlite3.Connection) -> Iterator[None]:
        """One transaction, committed at the end of the block. Whose turn it is says a lock beside the file: SQLite
        itself lets who waits look again ever more rarely, and some would never come to write."""
        with self._turn():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Closes the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        number = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end = time.monotonic() + self._turn_s
            while True:
                try:
                    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > end:
                        raise ControlStoreDown(
                            f"{self.path} is held by another process of Lockgate that hangs: nothing was changed"
                        ) from error
                    time.sleep(_LOOK_AGAIN_S)
            yield
        finally:
            os.close(number)


def explained(error: sqlite3.Error | OSError, path: Path) -> str:
    """What happened to the file and what can be done, for an administrator."""
    if isinstance(error, OSError):
        what = _SYSTEM.get(error.errno or 0)
    else:
        what = _SQLITE.get((getattr(error, "sqlite_errorcode", None) or 0) & 0xFF)  # the primary code
    return f"{path} {what} ({_words(error)})" if what else f"{path}: {_words(error)}"


def _words(error: sqlite3.Error | OSError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

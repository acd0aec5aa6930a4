"""Every version of every bucket that an authority ever stored, taken from the store itself.

SQLite and PostgreSQL get a trigger that keeps what was written; Redis has it all in its append-only file.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.support.store_servers import PostgresServer, RedisServer

SQLITE_TABLE, POSTGRES_TABLE = "meters", "lockgate_meters"
"""Where they are, with the columns key and state."""
KEY_PREFIX = "lockgate:{meters}:"


class Version(NamedTuple):
    """A bucket as it was stored at `at_s`, of the clock of whoever keeps the history."""

    at_s: float
    key: str
    state: bytes


def watch_sqlite(path: Path) -> None:
    """Keeps all that is written to the authority's table from now on."""
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
        database.execute("CREATE TABLE chaos_history (number INTEGER PRIMARY KEY, at REAL, key TEXT, state BLOB)")
        for event in ("INSERT", "UPDATE"):
            # In the process that writes: so `at` is of the clock it reads, also where that one is moved.
            database.execute(
                f"CREATE TRIGGER chaos_{event} AFTER {event} ON {SQLITE_TABLE} BEGIN "
                "INSERT INTO chaos_history (at, key, state) "
                "VALUES ((julianday('now') - 2440587.5) * 86400.0, NEW.key, NEW.state); END"
            )
        database.commit()


def of_sqlite(path: Path) -> Iterator[Version]:
    """The history in order."""
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
        for at_s, key, state in database.execute("SELECT at, key, state FROM chaos_history ORDER BY number"):
            # Its now has whole milliseconds, and as a number of days is some microseconds less or more: at the turn
            # of a second that is another slot of a window.
            yield Version(round(at_s, 3), key, state)


def now_sqlite(path: Path) -> Iterator[Version]:
    """What is stored now."""
    with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
        for key, state in database.execute(f"SELECT key, state FROM {SQLITE_TABLE}"):
            yield Version(0.0, key, state)


def watch_postgres(server: PostgresServer) -> None:
    """As `watch_sqlite`."""
    server.query(
        "CREATE TABLE chaos_history (number BIGSERIAL PRIMARY KEY, at DOUBLE PRECISION, key TEXT, state BYTEA);"
        "CREATE FUNCTION chaos_keep() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.chaos_history "
        "(at, key, state) VALUES (extract(epoch FROM clock_timestamp()), NEW.key, NEW.state); RETURN NEW; END $$;"
        f"CREATE TRIGGER chaos_keep AFTER INSERT OR UPDATE ON {POSTGRES_TABLE} "
        "FOR EACH ROW EXECUTE FUNCTION chaos_keep();"
    )


def of_postgres(server: PostgresServer) -> Iterator[Version]:
    """The history; of one bucket in order."""
    rows = server.query("SELECT at, key, encode(state, 'hex') FROM chaos_history ORDER BY number")
    for line in rows.splitlines():
        at_s, key, state = line.split("\t")
        if state:  # an empty row is none: it is there to be locked
            yield Version(float(at_s), key, bytes.fromhex(state))


def now_postgres(server: PostgresServer) -> Iterator[Version]:
    """What is stored now."""
    for line in server.query(f"SELECT key, encode(state, 'hex') FROM {POSTGRES_TABLE}").splitlines():
        key, state = line.split("\t")
        if state:
            yield Version(0.0, key, bytes.fromhex(state))


def of_redis(server: RedisServer) -> Iterator[Version]:
    """All SETs of buckets in the append-only file, in order. It was never rewritten."""
    for path in sorted((server.folder / "appendonlydir").glob("*.incr.aof")):
        at_s = 0.0
        for command in _commands(path):
            if isinstance(command, float):
                at_s = command
            elif len(command) >= 3 and command[0].upper() == b"SET" and command[1].startswith(KEY_PREFIX.encode()):
                key = command[1].decode().removeprefix(KEY_PREFIX).removeprefix("{").removesuffix("}")
                yield Version(at_s, key, command[2])


def _commands(path: Path) -> Iterator[list[bytes] | float]:
    """The commands of an append-only file, and its time stamps as numbers; a command cut by a crash is passed over."""
    data = path.read_bytes()
    at = 0

    def line() -> bytes:
        nonlocal at
        end = data.index(b"\r\n", at)
        text = data[at:end]
        at = end + 2
        return text

    with contextlib.suppress(ValueError):
        while at < len(data):
            head = line()
            if head.startswith(b"#TS:"):
                yield float(head[4:])
            elif head.startswith(b"*"):
                command = []
                for _ in range(int(head[1:])):
                    size = int(line()[1:])
                    command.append(data[at : at + size])
                    at += size + 2
                if at <= len(data):
                    yield command

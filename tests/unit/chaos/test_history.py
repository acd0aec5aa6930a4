"""When a bucket was stored, as the store itself tells it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from tests.chaos import history


def test_a_moment_at_the_turn_of_a_second_belongs_to_the_second_that_began(tmp_path: Path) -> None:
    path = tmp_path / "meters.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"CREATE TABLE {history.SQLITE_TABLE} (key TEXT, state BLOB)")
        database.commit()
        history.watch_sqlite(path)
        database.execute(f"INSERT INTO {history.SQLITE_TABLE} VALUES ('a', x'00')")
        database.execute(
            "UPDATE chaos_history SET at = (julianday('2026-11-23 00:15:15') - 2440587.5) * 86400.0 - 2e-5"
        )
        database.commit()
    (version,) = history.of_sqlite(path)
    assert (version.at_s, version.key) == (1_795_392_915.0, "a")

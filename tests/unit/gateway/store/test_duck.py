from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from gateway.store import duck


def test_a_connection_is_closed_at_the_end_whatever_happens(tmp_path: Path) -> None:
    with duck.connection(tmp_path, threads=1) as database:
        assert database.execute("SELECT current_setting('threads')").fetchall() == [(1,)]
    with pytest.raises(duckdb.ConnectionException):
        database.execute("SELECT 1")


def test_nothing_is_ever_fetched_from_the_network(tmp_path: Path) -> None:
    with duck.connection(tmp_path) as database, pytest.raises(duckdb.Error, match=r"httpfs|extension"):
        database.execute("SELECT * FROM read_parquet('https://example.com/x.parquet')")

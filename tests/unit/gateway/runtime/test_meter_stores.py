from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.runtime.failures import StartFailed
from gateway.runtime.meter_stores import DATABASE, check, open_store
from gateway.store.meters_sqlite import SqliteMeters


def prepared(state_dir: Path) -> Path:
    (state_dir / "run").mkdir()
    return state_dir


def test_the_default_is_a_database_in_the_state_directory(tmp_path: Path) -> None:
    async def scenario() -> None:
        store = open_store("sqlite", prepared(tmp_path), "s:0-1")
        assert isinstance(store, SqliteMeters)
        await store.check()
        await store.close()
        assert (tmp_path / DATABASE).exists()

    asyncio.run(scenario())


def test_a_variable_that_is_not_set_and_a_store_nobody_knows_are_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(ConfigError, match=r"stores\.meters: .*NOT_SET_HERE"):
            open_store("redis://:${NOT_SET_HERE}@localhost/0", prepared(tmp_path), "s:0-1")
        with pytest.raises(ConfigError, match=r"stores\.meters: no meters are kept in gopher"):
            open_store("gopher://hole", tmp_path, "s:0-1")

    asyncio.run(scenario())


def test_a_store_that_cannot_be_used_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    (prepared(tmp_path) / DATABASE).write_bytes(b"this is no database, and it is longer than its header is" * 20)
    with pytest.raises((ConfigError, StartFailed), match=r"stores\.meters: .*meters\.sqlite"):
        asyncio.run(check("sqlite", tmp_path, "supervisor"))

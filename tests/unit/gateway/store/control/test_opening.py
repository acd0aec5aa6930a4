from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.store.control.opening import DATABASE, open_store


def test_the_default_is_a_file_in_the_state_directory(tmp_path: Path) -> None:
    async def run() -> None:
        store = open_store("sqlite", tmp_path)
        await store.open()
        assert await store.revision() == 0
        await store.close()

    asyncio.run(run())
    assert (tmp_path / DATABASE).exists()


def test_another_kind_of_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="redis cannot keep what is administered: sqlite"):
        open_store("redis://localhost", tmp_path)

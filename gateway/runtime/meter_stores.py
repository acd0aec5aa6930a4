"""Which store keeps the meters: that of `stores.meters`, opened for one owner.

An owner is a process that takes leases: its name is that of its journal, in which can be read what it spent if it dies.
"""

from __future__ import annotations

import os
from pathlib import Path

from gateway.config import units
from gateway.errors import ConfigError
from gateway.runtime.failures import StartFailed
from gateway.store.meters import MeterStore, MeterStoreDown

DATABASE = "meters.sqlite"
"""The default store, in the state directory."""


def open_store(written: str, state_dir: Path, owner: str) -> MeterStore:
    """The store that `stores.meters` names, as it is written there. To be made inside the running loop; it connects
    when it is first used. Raises ConfigError."""
    try:
        url = units.resolve_env(written, os.environ)
    except ValueError as error:
        raise ConfigError(f"stores.meters: {error}") from error
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        from gateway.store.meters_sqlite import SqliteMeters

        return SqliteMeters(state_dir / DATABASE, state_dir / "run", owner)
    if scheme in ("redis", "rediss"):
        from gateway.store.meters_redis import RedisMeters

        return RedisMeters(url, owner)
    if scheme in ("postgresql", "postgres"):
        from gateway.store.meters_postgres import PostgresMeters

        return PostgresMeters(url, owner)
    raise ConfigError(f"stores.meters: no meters are kept in {scheme}; sqlite is the default")


async def check(written: str, state_dir: Path, owner: str) -> None:
    """At the start of the gateway: is the store there, and one that keeps what it is told? Raises ConfigError or
    StartFailed with what to change."""
    store = open_store(written, state_dir, owner)
    try:
        await store.check()
    except MeterStoreDown as error:
        raise StartFailed(f"stores.meters: {error}") from error
    finally:
        await store.close()

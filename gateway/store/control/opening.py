"""Which control store: that of `stores.control`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from gateway.errors import ConfigError
from gateway.store.control import heads
from gateway.store.control.base import ControlStore

DATABASE: Final = "control.sqlite"
"""The default store, in the state directory."""


def open_store(url: str, state_dir: Path) -> ControlStore:
    """The store of that URL (`sqlite`, `postgresql://…`), its ${NAME} resolved; to be made inside the running loop, and
    to be opened with `open`. Raises ConfigError."""
    scheme = url.partition(":")[0]
    if scheme == "sqlite":
        from gateway.store.control.sqlite import SqliteControl

        return SqliteControl(state_dir / DATABASE, heads.Heads(state_dir / heads.FILE))
    if scheme in ("postgresql", "postgres"):
        from gateway.store.control.postgres import PostgresControl

        return PostgresControl(url, heads.Heads(state_dir / heads.FILE_OF_POSTGRESQL))
    raise ConfigError(f"stores.control: {scheme} cannot keep what is administered: sqlite (the default) or postgresql")

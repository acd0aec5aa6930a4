"""The caps that a gateway's configuration and its control store declare, for who looks from beside it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from gateway.config import load, units
from gateway.errors import ConfigError
from gateway.policy import declared_meters
from gateway.runtime import state_dir
from gateway.store.control.base import ControlStoreDown
from gateway.store.control.opening import DATABASE, open_store


class NotReadable(Exception):
    """The configuration or the control store cannot be read now; the message says why."""


async def caps(where: Path, config: Path | None, prefix: str = "") -> dict[str, int]:
    """By the bucket that each meter counts in now, as far as that is known before it is used. `config`: the folder of
    the configuration; None: that of the gateway that runs on `where`, and nothing where none does. Raises
    NotReadable."""
    running = state_dir.published(where)
    folder = config or (Path(running.config) if running is not None and running.config else None)
    if folder is None:
        return {}
    now_ns = time.time_ns()
    try:
        declared = load.load(folder)
        found = declared_meters.of_files(declared, now_ns, prefix)
        url = units.resolve_env(declared.stores.control, os.environ)
        if url != "sqlite" or (where / DATABASE).exists():
            store = open_store(url, where)
            try:
                entries = [entry for kind in declared_meters.KINDS for entry in await store.entries(kind)]
            finally:
                await store.close()
            found |= declared_meters.of_entries(entries, now_ns, prefix)
    except (ConfigError, ControlStoreDown, OSError, ValueError) as error:
        raise NotReadable(str(error)) from error
    return {bucket: meter.cap for bucket, meter in found.items()}

"""Changes of a running gateway's control store, as the API would make them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from pathlib import Path
from typing import Any

from gateway.config.entries import EntryId, Kind
from gateway.store.control.base import NEW, Put, Remove, Step, Who
from gateway.store.control.opening import open_store


def key_hash(secret: str) -> str:
    """As a key's document has it."""
    return "sha256:" + hashlib.sha256(secret.encode()).hexdigest()


def made(kind: Kind, tenant: str, name: str, **document: Any) -> Put:
    """An entry that is new."""
    return Put(EntryId(kind, tenant, name), json.dumps(document).encode(), NEW)


def gone(kind: Kind, tenant: str, name: str) -> Remove:
    """An entry that is taken away."""
    return Remove(EntryId(kind, tenant, name))


def change(state_dir: Path, *steps: Step, url: str = "sqlite") -> None:
    """Does the steps in one transaction, in a process beside the gateway's."""

    async def do() -> None:
        store = open_store(url, state_dir)
        try:
            await store.open()
            await store.apply(steps, Who("tester", "tester", "test"), "a test", time.time_ns())
        finally:
            await store.close()

    asyncio.run(do())

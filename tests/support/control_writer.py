"""A process that makes keys until it is killed: `python -m tests.support.control_writer URL FOLDER NAME`.

Two at once, NAME-N and NAME-N-twin; it prints N when the store said that both are kept.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from gateway.store.control.base import NEW, Put
from gateway.store.control.opening import open_store
from tests.support.control_stores import key, put


async def main(url: str, folder: str, name: str) -> None:
    """Makes keys for ever."""
    store = open_store(url, Path(folder))
    await store.open()
    for n in itertools.count():
        await put(store, Put(key(f"{name}-{n}"), b"1", NEW), Put(key(f"{name}-{n}-twin"), b"1", NEW))
        print(n, flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

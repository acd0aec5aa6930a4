"""A process that changes meters until it is killed: `python -m tests.support.meter_writer URL_OR_FOLDER N`.

It prints a line for each change that the store said was kept: the sum after it.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.meter_stores import open_store


def add(key: str, old: bytes | None) -> tuple[bytes, int]:
    """One more than there was."""
    count = int(old or b"0") + 1
    return b"%d" % count, count


async def main(place: str, owner: int, folder: str) -> None:
    """Counts for ever."""
    store = open_store(place, Path(folder), owner)
    if not await store.reconciled():
        await store.reconcile({}, 0)
    while True:
        print((await store.update(["count", "other"], add))["count"], flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))

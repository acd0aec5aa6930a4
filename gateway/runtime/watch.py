"""Notices that a file of the configuration folder changed: by looking once a second, which works on every file system.

Kernel notifications would be sooner, but they miss changes on network mounts and behind the symbolic links that
Kubernetes swaps.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.config import price_map

LOOK_EVERY_S = 1.0
SETTLE_S = 0.3

SUFFIXES = (".yaml", ".yml", ".jsonl", price_map.FILE)
"""Of the files that are read (`config.load`); an editor's others are nothing to reload for."""

Fingerprint = frozenset[tuple[str, int, int, int]]
"""Per file: name, modification time (ns), size, inode."""


def fingerprint(folder: Path) -> Fingerprint:
    """What distinguishes the folder's present configuration files from others; empty when it cannot be read."""
    seen = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.name.endswith(SUFFIXES):
                    continue
                try:
                    status = entry.stat()
                except OSError:  # a link to nothing, or gone since it was listed
                    continue
                seen.add((entry.name, status.st_mtime_ns, status.st_size, status.st_ino))
    except OSError:
        return frozenset()
    return frozenset(seen)


async def changes(folder: Path, known: Fingerprint) -> AsyncIterator[Fingerprint]:
    """Yields the folder's fingerprint each time it differs from the last one (at first from `known`) and has settled.

    Settled: two looks `SETTLE_S` apart agree, so a set of files is not read while it is being written.
    """
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        seen = fingerprint(folder)
        while seen != known:
            await asyncio.sleep(SETTLE_S)
            again = fingerprint(folder)
            if again == seen:
                known = seen
                yield seen
            seen = again

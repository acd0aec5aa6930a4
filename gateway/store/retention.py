"""Keeps the journals of a state directory within a size: the oldest segments go first, and are counted.

Only what nobody needs any more is dropped: what the ledger has read, of directories that are recovered and whose
worker's leases are settled, and of a living worker what was read here to its end and has no request open in it. So the
journals may be larger than the limit for as long as that takes, by two segments for each worker at least.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from gateway.store import manifest
from gateway.store.journal_follow import IN_RECOVERY
from gateway.store.journal_read import Tail, directories, segment_numbers
from gateway.store.layout import RECOVERY, segment_path

DEFAULT_BYTES: Final = 2 * 2**30


class Retained(msgspec.Struct, frozen=True):
    """What is there after `retain`, and what it dropped."""

    kept_bytes: int
    dropped_bytes: int
    dropped_segments: int


def retain(state_dir: Path, tails: Iterable[Tail], limit_bytes: int = DEFAULT_BYTES) -> Retained:
    """Drops the oldest segments until the journals take `limit_bytes` at most, or nothing more may go.

    `tails`: those of the directories that are being read; a directory that is neither among them nor recovered is left
    alone.
    """
    read_to = {tail.directory: _first_needed(tail) for tail in tails if not tail.finished}
    in_ledger = _in_ledger(state_dir)
    total = 0
    droppable: list[tuple[int, Path, int]] = []
    for directory in directories(state_dir):
        recovered = directory not in read_to and (directory / RECOVERY).exists()
        needed = in_ledger.get(directory.name, 0)
        for number in segment_numbers(directory):
            path = segment_path(directory, number)
            try:
                status = path.stat()
            except FileNotFoundError:  # recovery gave it back
                continue
            total += status.st_size
            if number < needed and (recovered or number < read_to.get(directory, 0)):
                droppable.append((status.st_mtime_ns, path, status.st_size))
    dropped_bytes = dropped_segments = 0
    for _, path, size in sorted(droppable):
        if total <= limit_bytes:
            break
        path.unlink(missing_ok=True)
        total -= size
        dropped_bytes += size
        dropped_segments += 1
    _drop_empty(
        directory
        for directory in directories(state_dir)
        if directory not in read_to and in_ledger.get(directory.name) == IN_RECOVERY
    )
    return Retained(total, dropped_bytes, dropped_segments)


def _in_ledger(state_dir: Path) -> dict[str, int]:
    """For each journal the first segment that must stay; nothing of one that is not named may go."""
    try:
        journals = manifest.read(state_dir).journals
    except (manifest.LedgerUnreadable, OSError):  # told by who writes it
        return {}
    return {name: state.first_needed for name, state in journals.items()}


def _first_needed(tail: Tail) -> int:
    """Segments before this number have been read, and nothing is open in them."""
    return min([tail.sequence, *(sequence for sequence, _ in tail.open.values())])


def _drop_empty(candidates: Iterable[Path]) -> None:
    """Drops recovered directories whose segments are all gone; the crashed requests in a recovery are as old as
    those."""
    for directory in candidates:
        if (directory / RECOVERY).exists() and not segment_numbers(directory):
            # Interrupted here, an empty directory is left: it is recovered again, to nothing, and dropped.
            (directory / RECOVERY).unlink(missing_ok=True)
            (directory / "lock").unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                directory.rmdir()

"""What the journals hold that is in no table yet. With the tables of the same manifest it is every record once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeVar

from gateway.store.journal_follow import IN_RECOVERY, Follower
from gateway.store.journal_read import segment_numbers
from gateway.store.manifest import JournalState, Manifest
from gateway.store.segment import Entry

_T = TypeVar("_T")

_AGAIN: Final = 3
"""How often reading is begun anew because files went away meanwhile."""


class Gone(OSError):
    """What the manifest said was to be read is not there any more: it was merged, or dropped, since."""


def again(work: Callable[[], _T]) -> _T:
    """`work`, which reads the manifest, done anew where it raises Gone."""
    for _ in range(_AGAIN - 1):
        try:
            return work()
        except Gone:
            continue
    return work()


def entries(directory: Path, now: Manifest) -> Iterator[list[Entry]]:
    """What the tables do not hold of a journal. Raises Gone."""
    state = now.journals.get(directory.name, JournalState())
    if state.finished:
        return
    first = next(iter(segment_numbers(directory)), 0)
    if 0 < state.segment < IN_RECOVERY and first > state.segment:
        raise Gone(f"{directory} was read on, and dropped, meanwhile")
    follower = Follower(directory, state.position)
    try:
        for piece in follower.pieces():
            yield piece.entries
    finally:
        follower.close()

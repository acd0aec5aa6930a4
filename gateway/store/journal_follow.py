"""Follows one journal from any place in it, and says of every entry where it ends.

`journal_read.Tail` hands out records; who keeps account of a journal (the ledger, the settling of a dead worker's
leases) must also be able to stop and to go on exactly there, in another process.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from gateway.store.journal_read import Tail
from gateway.store.layout import ENTRY_HEAD, RECOVERY
from gateway.store.segment import Entry, SegmentReader

IN_RECOVERY: Final = 2**31 - 1
"""The number of segment of what recovery wrote: behind all that the worker did."""


class Position(NamedTuple):
    """A place between two entries: positions of one journal compare as its entries were written."""

    segment: int
    offset: int
    """Bytes of that segment before it, the header included."""


BEGIN: Final = Position(0, 0)


class Piece:
    """Entries that stand one behind the other in one segment."""

    __slots__ = ("begin", "entries")

    def __init__(self, begin: Position, entries: list[Entry]) -> None:
        self.begin = begin
        """The place before the first."""
        self.entries = entries

    def placed(self) -> Iterator[tuple[Position, int, bytes]]:
        """The place behind each entry, its kind, its payload."""
        segment, offset = self.begin
        for kind, payload in self.entries:
            offset += _size(payload)
            yield Position(segment, offset), kind, payload


class Follower(Tail):
    """One journal directory, read from `start` on. Of the counts of `Tail` only `damaged` means anything here."""

    def __init__(self, directory: Path, start: Position = BEGIN) -> None:
        super().__init__(directory, only_recovery=start.segment == IN_RECOVERY)
        self.position = start
        """Behind the last entry handed out."""
        self._start = start
        self._damage_known = 0
        if start.segment != IN_RECOVERY:
            self.sequence = max(0, start.segment - 1)

    def piece(self) -> Piece | None:
        """The next entries, `segment.PIECE_BYTES` at most; None when there is nothing new."""
        while not self.finished:
            reader = self._reader or self._next()
            if reader is None:
                return None
            entries = reader.read()
            if entries:
                return self._place(entries, reader)
            if not self._go_on(reader):
                return None
        return None

    def pieces(self) -> Iterator[Piece]:
        """All there is now."""
        while (piece := self.piece()) is not None:
            yield piece

    def _next(self) -> SegmentReader | None:
        reader = super()._next()
        if reader is not None:
            number = IN_RECOVERY if reader.path.name == RECOVERY else self.sequence
            if number == self._start.segment and not reader.damaged:
                reader.offset = max(reader.offset, self._start.offset)
            self.position = Position(number, reader.offset)
            self._damage_known = 0
        return reader

    def _place(self, entries: list[Entry], reader: SegmentReader) -> Piece:
        begin = self.position
        if reader.damaged != self._damage_known:
            # Something between the entries was skipped, nobody knows where: taken as behind the hole they are later
            # than they may be, so that what accounts for them counts them rather twice than never.
            self._damage_known = reader.damaged
            begin = Position(begin.segment, reader.offset - sum(_size(payload) for _, payload in entries))
        self.position = Position(begin.segment, reader.offset)
        return Piece(begin, entries)


def _size(payload: bytes) -> int:
    """Bytes an entry takes."""
    return (ENTRY_HEAD.size + len(payload) + 3) & ~3

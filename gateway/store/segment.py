"""Reads one segment of a journal: what was written to it, nothing else, whatever happened to the file.

What is not an entry is skipped: where a checksum is wrong the reader looks on, word by word, for the next place
where one is right, and counts one `damaged` place. The segment's random salt keeps bytes that a caller chose from
passing for an entry. The format is described in `journal`.
"""

from __future__ import annotations

import os
import zlib
from array import array
from pathlib import Path
from typing import Final

from gateway.store.layout import ENTRY_HEAD, HEADER, LAST_KIND, MAGIC, MAX_ENTRY_BYTES, OPENED, VERSION, crc_seed

PIECE_BYTES: Final = ENTRY_HEAD.size + MAX_ENTRY_BYTES
"""Read at a time: at least one entry. Bounds the memory a reader takes, and the time for which the kernel copies."""
LENGTH_MASK: Final = 0xFFFFFF

Entry = tuple[int, bytes]
"""Kind and payload."""


class SegmentReader:
    """One file, read from its first entry on; it may be written meanwhile. `damaged` counts places that were
    skipped."""

    def __init__(self, path: Path) -> None:
        """Raises FileNotFoundError."""
        self.path = path
        self.damaged = 0
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._size = os.fstat(self._fd).st_size
        self._seeds = _seeds(os.pread(self._fd, HEADER.size, 0))
        self.offset = HEADER.size
        """Bytes read so far, the header included."""
        if not self._seeds:
            self.damaged = 1
            self.offset = self._size

    def close(self) -> None:
        os.close(self._fd)

    def read(self) -> list[Entry]:
        """The next entries, a piece of the file at most; none where nothing is (yet)."""
        entries: list[Entry] = []
        while True:
            piece = os.pread(self._fd, min(PIECE_BYTES, max(0, self._size - self.offset)), self.offset)
            stopped_at, wrong = _parse(piece, self._seeds, entries)
            self.offset += stopped_at
            if not wrong:
                return entries
            if not self._written_meanwhile():
                self._skip()

    def rest_is_empty(self) -> bool:
        """For a file that is written no more, when `read` gave nothing: is all behind that place empty?

        If not, that place was a hole in which entries are missing; `read` may give more when this has returned False.
        """
        rest = self._rest()
        if not rest.rstrip(b"\0"):
            return True
        self._skip()
        return False

    def rest_is_torn(self) -> bool:
        """For the last file of a writer that died: is all that is left the one entry that was being written?"""
        rest = self._rest().rstrip(b"\0")
        return 0 < len(rest) <= ENTRY_HEAD.size + MAX_ENTRY_BYTES and _find(rest, 4, self._seeds) is None

    def _rest(self) -> bytes:
        return os.pread(self._fd, max(0, self._size - self.offset), self.offset)

    def _written_meanwhile(self) -> bool:
        """Was what looked wrong only being written? On some processors another core may see the last store first."""
        entries: list[Entry] = []
        _parse(os.pread(self._fd, PIECE_BYTES, self.offset), self._seeds, entries)
        return bool(entries)

    def _skip(self) -> None:
        """Counts a damaged place and moves to the next right entry, or behind the last byte that is not zero."""
        self.damaged += 1
        rest = self._rest()
        used = len(rest.rstrip(b"\0"))
        found = _find(rest[:used], 4, self._seeds)
        self.offset = min(self._size, self.offset + (found if found is not None else (used + 3) & ~3))


def _seeds(header: bytes) -> tuple[int, ...]:
    """What the checksums of each kind begin with; nothing when this is no header of ours."""
    if len(header) != HEADER.size:
        return ()
    magic, version, _slot, _incarnation, _sequence, salt = HEADER.unpack(header)
    if magic != MAGIC or version != VERSION:
        return ()
    return tuple(crc_seed(salt, kind) for kind in range(LAST_KIND + 1))


def _parse(piece: bytes, seeds: tuple[int, ...], entries: list[Entry]) -> tuple[int, bool]:
    """Appends the entries a piece begins with; returns where it stopped and whether that is because of a wrong one.

    It stops without fault at an empty word, and at an entry that the end of the piece cuts, unless it is the first.
    """
    crc32, head, head_bytes = zlib.crc32, ENTRY_HEAD.unpack_from, ENTRY_HEAD.size
    length, at = len(piece), 0
    while at + head_bytes <= length:
        word, crc = head(piece, at)
        if not word:
            return at, False
        begin = at + head_bytes
        end = begin + (word & LENGTH_MASK)
        kind = word >> 24
        if end > length:
            return at, not at or end - begin > MAX_ENTRY_BYTES
        payload = piece[begin:end]
        if not OPENED <= kind <= LAST_KIND or crc32(payload, seeds[kind]) != crc:
            return at, True
        entries.append((kind, payload))
        at = (end + 3) & ~3
    return at, False


def _find(data: bytes, start: int, seeds: tuple[int, ...]) -> int | None:
    """Where, at a multiple of 4 from `start` on, the first right entry begins."""
    words = array("I", data[: len(data) & ~3])
    for index in range(start >> 2, len(words) - 1):
        word = words[index]
        kind = word >> 24
        if OPENED <= kind <= LAST_KIND:
            begin = 4 * index + ENTRY_HEAD.size
            end = begin + (word & LENGTH_MASK)
            if end <= len(data) and zlib.crc32(data[begin:end], seeds[kind]) == words[index + 1]:
                return 4 * index
    return None

"""Reads a worker's journal, while it is written or long after.

`Tail` follows one directory and hands out its records in order, counting what was opened and not closed; a piece of
a file at a time, so its memory is bounded by what is open. How a file is read is in `segment`, the format in `journal`.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from gateway.store.layout import CLOSED, HEADER, HELD, OPENED, RECOVERED, RECOVERY, segment_path
from gateway.store.records import Record
from gateway.store.segment import Entry, SegmentReader

BATCH: Final = 4096


class Tail:
    """One directory, read from its first segment on.

    Counts, of what was read: `opened`, `closed` (recovered ones included), `recovered`, `damaged` places,
    `unreadable` entries (right checksum, wrong content), `unopened` (closed, but never seen to open: its opening was
    damaged, or it is a bug), `torn` (cut short by the writer's death, so never committed: no fault).
    """

    def __init__(self, directory: Path, *, only_recovery: bool = False) -> None:
        """`only_recovery`: passes over what the worker wrote, to what recovery made of it."""
        self.directory = directory
        self._only_recovery = only_recovery
        self.opened = 0
        self.closed = 0
        self.recovered = 0
        self.unreadable = 0
        self.unopened = 0
        self.torn = 0
        self.open: dict[str, tuple[int, bytes]] = {}
        """What is open now: id → (number of its segment, the `Opened` as stored)."""
        self.sequence = 0
        """The number of the segment being read, or read last."""
        self.first_sequence = 0
        """The number of the first segment that was there: later than 1 when retention dropped those before."""
        self.writer_gone = False
        """Set by who knows, and found out when a recovery is there. Until then there may always be more."""
        self.finished = False
        """Read to the end of the recovery: there will never be more."""
        self.spare: list[tuple[Path, int]] = []
        """Segments without damage of a writer that is gone, and how many bytes of each are used."""
        self._damaged = 0
        self._reader: SegmentReader | None = None
        self._written_out = False
        self._decode_record = msgspec.msgpack.Decoder(Record).decode
        self._decode_id = msgspec.msgpack.Decoder(_Id).decode

    @property
    def damaged(self) -> int:
        """Places where entries may be missing: bytes that are no entry, segments that are not there."""
        return self._damaged + (self._reader.damaged if self._reader is not None else 0)

    def read(self, limit: int = BATCH) -> list[Record]:
        """The next records, `limit` or a piece of the file more; none when there is nothing new."""
        records: list[Record] = []
        while len(records) < limit and not self.finished:
            reader = self._reader or self._next()
            if reader is None:
                break
            entries = reader.read()
            if entries:
                self._take(entries, records)
            elif not self._go_on(reader):
                break
        return records

    def drain(self) -> Iterator[Record]:
        """All records there are now."""
        while records := self.read():
            yield from records

    def close(self) -> None:
        """Closes the file at hand; reading cannot go on."""
        if self._reader is not None:
            self._damaged += self._reader.damaged
            self._reader.close()
            self._reader = None

    def _take(self, entries: list[Entry], records: list[Record]) -> None:
        decode_id, decode_record, opens = self._decode_id, self._decode_record, self.open
        for kind, payload in entries:
            try:
                if kind == OPENED:
                    opens[decode_id(payload).id] = (self.sequence, payload)
                    self.opened += 1
                    continue
                if kind == HELD:
                    request_id = decode_id(payload).id
                    if request_id in opens:
                        opens[request_id] = (opens[request_id][0], payload)
                    continue
                record = decode_record(payload)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self.unreadable += 1
                continue
            self.closed += 1
            if kind == CLOSED:
                if opens.pop(record.id, None) is None:
                    self.unopened += 1
            elif kind == RECOVERED:
                self.recovered += 1
                opens.pop(record.id, None)
            else:
                self.opened += 1
            records.append(record)

    def _next(self) -> SegmentReader | None:
        """Opens the segment that comes next, at last the recovery; None when there is none yet."""
        numbers = [] if self._only_recovery else segment_numbers(self.directory)
        later = [number for number in numbers if number > self.sequence]
        path = segment_path(self.directory, later[0]) if later else self.directory / RECOVERY
        try:
            self._reader = SegmentReader(path)
        except FileNotFoundError:
            return None
        if later:
            if self.sequence and later[0] != self.sequence + 1:
                self._damaged += 1  # a segment in the middle is not there
            self.sequence = later[0]
            self.first_sequence = self.first_sequence or later[0]
        self._written_out = False
        return self._reader

    def _go_on(self, reader: SegmentReader) -> bool:
        """`reader` has nothing more now. Is there a reason to look again, there or in the next segment?"""
        recovery = reader.path.name == RECOVERY
        if not self._written_out:
            # Whoever began the next segment had written all of this one, so look at it once more, knowing that.
            self.writer_gone = self.writer_gone or (self.directory / RECOVERY).exists()
            self._written_out = recovery or self.writer_gone or self._next_begun()
            return self._written_out
        if self.writer_gone and not recovery and not self._next_begun() and reader.rest_is_torn():
            self.torn += 1
        elif not reader.rest_is_empty():
            return True
        if self.writer_gone and not recovery and not reader.damaged:
            self.spare.append((reader.path, reader.offset))
        self.close()
        self.finished = recovery
        return not recovery

    def _next_begun(self) -> bool:
        """Was anything written to a later segment? (The reserve is there before it is used.)"""
        for number in segment_numbers(self.directory):
            if number > self.sequence:
                try:
                    with segment_path(self.directory, number).open("rb") as file:
                        return any(os.pread(file.fileno(), 4, HEADER.size))
                except FileNotFoundError:  # given back since it was listed: it was the reserve
                    return False
        return False


class _Id(msgspec.Struct, array_like=True, gc=False):
    """The first column of every entry; msgspec skips the rest, at a third of the cost of reading it."""

    id: str


def segment_numbers(directory: Path) -> list[int]:
    """Numbers of a directory's segments, in order; none when it is not there."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    return sorted(int(name[:-4]) for name in names if name.endswith(".seg") and name[:-4].isdigit())


def directories(state_dir: Path) -> list[Path]:
    """Every worker's directory under a state directory, the oldest first."""
    journal = state_dir / "journal"
    try:
        names = [name for name in os.listdir(journal) if not name.startswith(".") and "-" in name]
    except FileNotFoundError:
        return []
    return [journal / name for name in sorted(names, key=lambda name: name.partition("-")[2])]


def writer_lives(directory: Path) -> bool:
    """Does the worker that writes this directory still run? The kernel drops its lock when it dies."""
    try:
        fd = os.open(directory / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False

"""The journal a worker writes: the one thing the hot path writes to disk.

Entries go into memory-mapped, preallocated files ("segments") with plain stores, no system call: what was written is
in the kernel's page cache, so it survives the death of the process at any instruction (`kill -9`), though not a
power cut (nothing is synced; a file half written back is found by its checksums). One process writes a directory,
and holds a lock on it that the kernel releases when the process dies; that is how others know it is dead. Reading is
`journal_read`, closing what a dead worker left open is `recovery`; `layout` says what the bytes mean.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final
from zlib import crc32

import msgspec

from gateway.clock import Clock
from gateway.errors import StoreUnavailable
from gateway.store.layout import (
    CLOSED,
    HEADER,
    HELD,
    LAST_KIND,
    MAGIC,
    MIN_SEGMENT_BYTES,
    OPENED,
    VERSION,
    WHOLE,
    crc_seed,
    segment_path,
)
from gateway.store.records import Fields, Opened, Record, capped, whole

SEGMENT_BYTES: Final = 16 * 2**20
"""Also the room that is left for running requests to end in when the disk is full: a kilobyte for each of 16,000."""
CAP_ABOVE_BYTES: Final = 8 * 2**10
"""Payloads longer than this are capped."""

RETRY_S: Final = 1.0
"""How long the journal waits before it asks a full disk again."""

Allocate = Callable[[int, int], None]
"""(file descriptor, bytes) -> None: reserves the file's blocks on disk, or raises OSError."""


def allocate_blocks(fd: int, size_bytes: int) -> None:
    """Reserves the blocks now, so that a full disk is an OSError here and never a SIGBUS at a store into the map."""
    os.posix_fallocate(fd, 0, size_bytes)


class Segment:
    """One mapped file being written. `close()` gives the mapping back; `used` is the number of bytes written."""

    __slots__ = ("map", "path", "seeds", "size", "used", "words")

    def __init__(self, path: Path, fd: int, size: int, salt: int) -> None:
        self.path = path
        self.map = mmap.mmap(fd, size)
        self.words = memoryview(self.map).cast("I")
        self.size = size
        self.used = HEADER.size
        self.seeds = tuple(crc_seed(salt, kind) for kind in range(LAST_KIND + 1))

    @classmethod
    def create(cls, path: Path, header: tuple[int, int, int, int], size: int, allocate: Allocate) -> Segment:
        """A new file of `size` bytes, all blocks reserved. It gets its name when it is ready. Raises OSError and
        leaves nothing."""
        slot, incarnation, sequence, salt = header
        unfinished = path.with_suffix(".new")
        fd = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            allocate(fd, size)
            os.pwrite(fd, HEADER.pack(MAGIC, VERSION, slot, incarnation, sequence, salt), 0)
            segment = cls(path, fd, size, salt)
            os.rename(unfinished, path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        return segment

    def close(self) -> None:
        """Unmaps; what was written stays in the file."""
        self.words.release()
        self.map.close()


class Journal:
    """Writes one worker's entries. Every method but `refill` belongs to one thread: the event loop's.

    - `accepts_new`: False from the moment the disk is known to have no room for another segment, until it has; then
      new requests are to be refused with `StoreUnavailable`, while running ones still end in the segment at hand.
    - `opened`, `closed`: requests whose beginning and end were written.
    - `unwritten`: ends of running requests for which no room was left at all. They stay open in the journal, so they
      show as crashed once the worker is gone: never silently missing.
    - `unrecorded`: refusals that left no record, because the disk was full.
    """

    __slots__ = (
        "_allocate",
        "_background",
        "_current",
        "_encode",
        "_finished",
        "_incarnation",
        "_lock_fd",
        "_refilling",
        "_reserve",
        "_segment_bytes",
        "_sequence",
        "_slot",
        "_stopping",
        "_wake",
        "accepts_new",
        "closed",
        "directory",
        "opened",
        "unrecorded",
        "unwritten",
    )

    def __init__(
        self, directory: Path, slot: int, incarnation: int, lock_fd: int, segment_bytes: int, allocate: Allocate
    ) -> None:
        """Use `create`."""
        self.directory = directory
        self.accepts_new = False
        self.opened = 0
        self.closed = 0
        self.unwritten = 0
        self.unrecorded = 0
        self._slot = slot
        self._incarnation = incarnation
        self._lock_fd = lock_fd
        self._segment_bytes = segment_bytes
        self._allocate = allocate
        self._encode = msgspec.msgpack.Encoder().encode
        self._sequence = 0
        self._reserve: Segment | None = None
        self._finished: list[Segment] = []
        self._refilling = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._background: threading.Thread | None = None
        self._current = self._new_segment()

    @classmethod
    def create(
        cls,
        state_dir: Path,
        slot: int,
        clock: Clock,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        allocate: Allocate = allocate_blocks,
        background: bool = True,
    ) -> Journal:
        """Makes a directory of its own under `state_dir`/journal, its first segment and the reserve.

        Raises OSError when the first segment cannot be had. `background=False` leaves it to the caller to call
        `refill` (tests).
        """
        if segment_bytes < MIN_SEGMENT_BYTES or segment_bytes % 4:
            raise ValueError(f"segment_bytes must be a multiple of 4 and at least {MIN_SEGMENT_BYTES}")
        directory, incarnation, lock_fd = _own_directory(state_dir / "journal", slot, clock.wall_ns() // 1_000_000)
        try:
            journal = cls(directory, slot, incarnation, lock_fd, segment_bytes, allocate)
        except OSError:
            os.close(lock_fd)
            raise
        journal.refill()
        if background:
            journal._background = threading.Thread(target=journal._keep_a_reserve, name="journal-reserve", daemon=True)
            journal._background.start()
        return journal

    def open(self, entry: Opened) -> None:
        """Written when this returns: to be called before a backend is. Raises `StoreUnavailable` when there is no
        room."""
        try:
            payload = self._encode(entry)
        except (UnicodeEncodeError, OverflowError):
            payload = self._encode(capped(entry))
        if not self._append(OPENED, payload if len(payload) <= CAP_ABOVE_BYTES else self._encode(capped(entry))):
            raise StoreUnavailable("the journal is full; this request cannot be recorded")
        self.opened += 1

    def held(self, entry: Opened) -> bool:
        """Says that an open request holds more now; written when this returns, and only then the hold may be used.
        False when there is no room: the old entry stands.
        """
        try:
            payload = self._encode(entry)
        except (UnicodeEncodeError, OverflowError):
            payload = self._encode(capped(entry))
        return self._append(HELD, payload if len(payload) <= CAP_ABOVE_BYTES else self._encode(capped(entry)))

    def close(self, record: Record | Fields) -> None:
        """Ends a request that was opened; written when this returns: to be called before the last byte is sent.
        Never raises."""
        if self._append(CLOSED, self._encode_record(record)):
            self.closed += 1
        else:
            self.unwritten += 1

    def add(self, record: Record | Fields) -> None:
        """Records a request that ended before `open`: a refusal. Counts as opened and closed. Never raises.

        While `accepts_new` is False refusals are only counted (`unrecorded`): they must not use up what running
        requests need to end.
        """
        if not self.accepts_new:
            self.unrecorded += 1
            return
        if self._append(WHOLE, self._encode_record(record)):
            self.opened += 1
            self.closed += 1
        else:
            self.unrecorded += 1

    def put(self, payload: bytes) -> bool:
        """Writes an entry of another kind of journal, in the same files; False when there is no room."""
        return self._append(WHOLE, payload)

    def _encode_record(self, record: Record | Fields) -> bytes:
        try:
            payload = self._encode(record)
        except (UnicodeEncodeError, OverflowError):  # half a surrogate pair in a header, a number no one can count to
            payload = self._encode(capped(whole(record)))
        return payload if len(payload) <= CAP_ABOVE_BYTES else self._encode(capped(whole(record)))

    def _append(self, kind: int, payload: bytes) -> bool:
        """Writes one entry into the map; False when there is no room and no reserve."""
        segment = self._current
        at = segment.used
        length = len(payload)
        end = at + 8 + length
        if end > segment.size:
            return self._rotate() and self._append(kind, payload)
        segment.map[at + 8 : end] = payload
        words = segment.words
        at >>= 2
        words[at + 1] = crc32(payload, segment.seeds[kind])
        words[at] = kind << 24 | length  # last: this store is what makes the entry exist
        segment.used = (end + 3) & ~3
        return True

    def _rotate(self) -> bool:
        """Goes on in the reserve; the background thread unmaps the old segment and allocates the next reserve."""
        reserve = self._reserve
        if reserve is None:
            # A whole segment was filled before the thread had made the next, or the disk is full. Waiting for the disk
            # here blocks the loop; the other choice is to lose what must be written.
            self.refill()
            reserve = self._reserve
            if reserve is None:
                return False
        self._finished.append(self._current)
        self._current, self._reserve = reserve, None
        self._wake.set()
        return True

    def refill(self) -> bool:
        """Makes sure of a reserve; True when there is one. Sets `accepts_new`. Blocks on the disk: not for the event
        loop."""
        with self._refilling:
            while self._finished:
                self._finished.pop().close()
            if self._reserve is None:
                try:
                    self._reserve = self._new_segment()
                except OSError:
                    self.accepts_new = False
                    return False
            self.accepts_new = not self._stopping
            return True

    @property
    def reserve_ok(self) -> bool:
        """Is the next segment there?"""
        return self._reserve is not None

    @property
    def sequence(self) -> int:
        """Number of the segment being written, from 1."""
        return int(self._current.path.stem)

    @property
    def position(self) -> tuple[int, int]:
        """Where the next entry goes: the number of the segment and the bytes used of it."""
        return self.sequence, self._current.used

    @property
    def written_bytes(self) -> int:
        """Bytes of journal this worker has filled."""
        return (self.sequence - 1) * self._segment_bytes + self._current.used

    def stop(self) -> None:
        """Gives back what was not used and the lock. Nothing may be written after."""
        self.accepts_new = False
        self._stopping = True
        self._wake.set()
        if self._background is not None:
            self._background.join()
        reserve, self._reserve = self._reserve, None
        if reserve is not None:
            reserve.close()
            reserve.path.unlink(missing_ok=True)
        for segment in (*self._finished, self._current):
            segment.close()
        self._finished.clear()
        os.truncate(self._current.path, self._current.used)
        os.close(self._lock_fd)

    def _new_segment(self) -> Segment:
        sequence = self._sequence + 1
        salt = int.from_bytes(os.urandom(4), "little")
        header = (self._slot, self._incarnation, sequence, salt)
        segment = Segment.create(segment_path(self.directory, sequence), header, self._segment_bytes, self._allocate)
        self._sequence = sequence
        return segment

    def _keep_a_reserve(self) -> None:
        while not self._stopping:
            self._wake.clear()
            if not self._stopping:
                self._wake.wait(None if self.refill() else RETRY_S)


def _own_directory(journal: Path, slot: int, incarnation: int) -> tuple[Path, int, int]:
    """A new directory, locked: its path, its incarnation (milliseconds since the epoch, or the next free number),
    the lock's fd."""
    journal.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in itertools.count(incarnation):
        directory = journal / f"{slot}-{number:012x}"
        # Made under another name and renamed with the lock held: a reader never sees a directory that looks dead but
        # is being born.
        newborn = journal / f".{directory.name}.{os.getpid()}"
        newborn.mkdir(mode=0o700, exist_ok=True)  # a process of this number may have died right here
        fd = os.open(newborn / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            os.rename(newborn, directory)  # fails when the name is taken: that directory is not empty
        except OSError:
            os.close(fd)
            (newborn / "lock").unlink()
            newborn.rmdir()
            if not directory.exists():
                raise
            continue
        return directory, number, fd
    raise AssertionError("itertools.count never ends")

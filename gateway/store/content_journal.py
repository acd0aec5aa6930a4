"""Content on its way to its table: a worker's own journal of it, beside that of its records, and how it is read.

    STATE/content/journal/<slot>-<incarnation>/
        000001.seg …      segments, as those of records (`layout`): entries of the kind WHOLE
        000001.key …      what entries are locked with, each for some minutes; gone soon after they were moved

An entry is a part of one content, locked as a whole: `u32 number of the key, u16 which part, u16 of how many`, then
the bytes. It is written by the event loop into mapped memory, so it survives the death of the process; where the disk
has no room but what records need, or the keeper is far behind, nothing more is taken (`refused`).
"""

from __future__ import annotations

import os
import shutil
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.clock import Clock
from gateway.store.content import Content, folder
from gateway.store.journal import Journal, allocate_blocks
from gateway.store.journal_follow import Follower, Position
from gateway.store.journal_read import directories, segment_numbers, writer_lives
from gateway.store.layout import MAX_ENTRY_BYTES, segment_path

LEAVES_BYTES: Final = 256 * 2**20
"""Free space on the disk that is left to the records."""
MOST_SEGMENTS: Final = 64
"""Of one worker: a gigabyte that the keeper has not moved."""
KEY_S: Final = 600.0
"""How long entries are locked with one key; it may be removed after twice as long, once they were moved."""

_HEAD: Final = struct.Struct("=IHH")
_PART_BYTES: Final = MAX_ENTRY_BYTES - _HEAD.size
_NONCE: Final = 12
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Content).decode


class ContentJournal:
    """A worker's. Belongs to its event loop.

    - `kept`: contents that were written.
    - `refused`: contents for which there was no room.
    """

    def __init__(self, journal: Journal, clock: Clock) -> None:
        """Use `create`."""
        self.kept = 0
        self.refused = 0
        self._journal = journal
        self._clock = clock
        self._key_number = 0
        self._key_until_s = 0.0
        self._key = AESGCM(bytes(32))

    @classmethod
    def create(cls, state_dir: Path, slot: int, clock: Clock) -> ContentJournal:
        """Makes a directory of its own. Raises OSError."""
        made: list[Path] = []

        def allocate(descriptor: int, size: int) -> None:
            if made and len(segment_numbers(made[0])) >= MOST_SEGMENTS:
                raise OSError("the keeper has not moved what is there")
            disk = os.fstatvfs(descriptor)
            if disk.f_bavail * disk.f_frsize < LEAVES_BYTES + size:
                raise OSError("what is left of the disk is for records")
            allocate_blocks(descriptor, size)

        folder(state_dir).mkdir(mode=0o700, parents=True, exist_ok=True)
        journal = Journal.create(folder(state_dir), slot, clock, allocate=allocate)
        made.append(journal.directory)
        return cls(journal, clock)

    def keep(self, content: Content) -> bool:
        """Writes it; False where there is no room. Takes about a millisecond for the most there may be."""
        journal = self._journal
        if not journal.accepts_new:
            self.refused += 1
            return False
        try:
            number, key = self._key_now()
        except OSError:
            self.refused += 1
            return False
        nonce = os.urandom(_NONCE)
        whole = nonce + key.encrypt(nonce, _encode(content), None)
        count = -(-len(whole) // _PART_BYTES)
        for part in range(count):
            begin = part * _PART_BYTES
            if not journal.put(_HEAD.pack(number, part, count) + whole[begin : begin + _PART_BYTES]):
                self.refused += 1
                return False
        self.kept += 1
        return True

    def stop(self) -> None:
        """Nothing may be kept after."""
        self._journal.stop()

    def _key_now(self) -> tuple[int, AESGCM]:
        now_s = self._clock.monotonic_s()
        if now_s >= self._key_until_s:
            secret, number = AESGCM.generate_key(256), self._key_number + 1
            descriptor = os.open(_key_path(self._journal.directory, number), os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, secret)
            finally:
                os.close(descriptor)
            self._key, self._key_number, self._key_until_s = AESGCM(secret), number, now_s + KEY_S
        return self._key_number, self._key


class Unlocked(NamedTuple):
    """One content, or None for one that cannot be read, and how far the journal was read with it."""

    content: Content | None
    position: Position
    bytes: int


class ContentReader:
    """One worker's directory, from a place in it on."""

    def __init__(self, directory: Path, start: Position) -> None:
        self.directory = directory
        self.ended = not writer_lives(directory)
        """Nothing will be added to it: known before it is read."""
        self._follower = Follower(directory, start)
        self._old_keys = [path for path in directory.glob("*.key") if _is_old(path)]
        self._keys: dict[int, AESGCM | None] = {}
        self._parts: list[bytes] = []

    def contents(self) -> Iterator[Unlocked]:
        """All there is now."""
        for piece in self._follower.pieces():
            for position, _, payload in piece.placed():
                if len(payload) < _HEAD.size:
                    continue
                number, part, count = _HEAD.unpack_from(payload)
                self._parts = [*self._parts, payload[_HEAD.size :]] if part == len(self._parts) else []
                if part == 0:
                    self._parts = [payload[_HEAD.size :]]
                if part + 1 == count and len(self._parts) == count:
                    whole, self._parts = b"".join(self._parts), []
                    yield Unlocked(self._open(number, whole), position, len(whole))

    def forget_keys(self) -> None:
        """When all was read, and moved: removes the keys that the worker had stopped using before."""
        for path in self._old_keys:
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Reading cannot go on."""
        self._follower.close()

    def _open(self, number: int, whole: bytes) -> Content | None:
        if number not in self._keys:
            try:
                self._keys[number] = AESGCM(_key_path(self.directory, number).read_bytes())
            except (OSError, ValueError):
                self._keys[number] = None
        key = self._keys[number]
        if key is None:
            return None
        try:
            return _decode(key.decrypt(whole[:_NONCE], whole[_NONCE:], None))
        except (InvalidTag, ValueError, msgspec.DecodeError):
            return None


def journals(state_dir: Path) -> list[Path]:
    """Every worker's directory, the oldest first."""
    return directories(folder(state_dir))


def forget(directory: Path, before: int) -> None:
    """Removes the segments before this one."""
    for number in segment_numbers(directory):
        if number < before:
            segment_path(directory, number).unlink(missing_ok=True)


def remove(directory: Path) -> None:
    """Removes all of a worker's that is gone."""
    shutil.rmtree(directory, ignore_errors=True)


def _key_path(directory: Path, number: int) -> Path:
    return directory / f"{number:06d}.key"


def _is_old(path: Path) -> bool:
    """Whether its worker has stopped using a key."""
    try:
        return time.time() - path.stat().st_mtime > 2 * KEY_S
    except FileNotFoundError:
        return False

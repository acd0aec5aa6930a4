"""Closes what dead workers left open, so that every request that was opened has exactly one record.

A worker's lock tells whether it lives. For a dead one everything still open becomes a record with outcome "crashed",
written to `recovery.seg` beside its segments; that file gets its name only when it is whole and synced, so a
recovery that is itself killed is simply done again, and one that was done is never repeated. Segments are then cut
to what they hold.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from gateway.store.journal_read import Tail
from gateway.store.layout import ENTRY_HEAD, HEADER, MAGIC, RECOVERED, RECOVERY, VERSION, crc_seed
from gateway.store.records import Opened, Record, capped, crashed

_ENCODE: Final = msgspec.msgpack.Encoder().encode


def recover(tail: Tail, deliver: Callable[[list[Record]], None]) -> bool:
    """Recovers the directory of `tail` if its writer is dead, and reads it to its end; True when it is then `finished`.

    `deliver` gets every record the tail had not handed out yet, in batches, those recovered last. Raises OSError
    when the disk is full; then nothing has changed and it can be called again.
    """
    fd = os.open(tail.directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        tail.writer_gone = True
        _deliver_all(tail, deliver)
        if not tail.finished:
            _trim(tail)
            _write(tail.directory, tail.open)
            _deliver_all(tail, deliver)
    finally:
        os.close(fd)
    return tail.finished


def _deliver_all(tail: Tail, deliver: Callable[[list[Record]], None]) -> None:
    while records := tail.read():
        deliver(records)


def _trim(tail: Tail) -> None:
    """Gives back what was allocated and not used. Not done to damaged segments: they are evidence."""
    for unfinished in tail.directory.glob("*.new"):
        unfinished.unlink(missing_ok=True)
    for path, used in tail.spare:
        with contextlib.suppress(FileNotFoundError):
            if used == HEADER.size:
                path.unlink()
            elif path.stat().st_size > used:
                os.truncate(path, used)
    tail.spare.clear()


def _write(directory: Path, opened: dict[str, tuple[int, bytes]]) -> None:
    slot, _, incarnation = directory.name.partition("-")
    salt = int.from_bytes(os.urandom(4), "little")
    unfinished = directory / "recovery.new"
    with unfinished.open("wb") as file:
        file.write(HEADER.pack(MAGIC, VERSION, int(slot), int(incarnation, 16), 0, salt))
        for request_id, (_, payload) in opened.items():
            entry = _ENCODE(capped(crashed(_opened(request_id, payload))))
            file.write(ENTRY_HEAD.pack(RECOVERED << 24 | len(entry), zlib.crc32(entry, crc_seed(salt, RECOVERED))))
            file.write(entry + bytes(-len(entry) % 4))
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(directory / RECOVERY)


def _opened(request_id: str, payload: bytes) -> Opened:
    try:
        return msgspec.msgpack.decode(payload, type=Opened)
    except (msgspec.DecodeError, UnicodeDecodeError):  # written by another version: at least the request is not lost
        return Opened(request_id, 0, "", "", "", "", "")

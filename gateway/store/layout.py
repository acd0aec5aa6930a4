"""Where a journal's files are and what their bytes mean: what the writer and the readers agree on.

    STATE/journal/<slot>-<incarnation>/
        lock              held by the writer while it lives
        000001.seg …      segments: entries in order; the last one is the reserve, empty until it is needed
        recovery.seg      written by recovery; when it is there, nothing is left to do here

A segment is a header of 32 bytes (`HEADER`) and entries, each beginning at a multiple of 4:

    u32   kind << 24 | length of the payload      0: there is no entry here (yet)
    u32   crc32 of the payload, begun with the segment's salt + kind
    …     payload: MessagePack

The first word is stored last, in one aligned store: an entry is there whole or not at all. The salt is random, so bytes
that a caller chose can never pass for an entry. Words are in the machine's order: a journal does not move between
machines of different order.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

MAGIC: Final = b"lockgate"
VERSION: Final = 1
HEADER: Final = struct.Struct("=8sIIQII")
"""Magic, version, worker slot, incarnation, sequence number of the segment, salt."""
ENTRY_HEAD: Final = struct.Struct("=II")
"""Kind and length in one word, checksum."""
MAX_ENTRY_BYTES: Final = 64 * 2**10
"""No payload is longer. Records are capped to fit (a property test proves it), so none is ever refused for its size."""
MIN_SEGMENT_BYTES: Final = 2 * MAX_ENTRY_BYTES

OPENED: Final = 1
"""Kind: a backend is about to be called; the payload is an `Opened`."""
CLOSED: Final = 2
"""Kind: the `Record` of a request that was opened."""
WHOLE: Final = 3
"""Kind: the `Record` of a request that ended before anything was opened: a refusal."""
RECOVERED: Final = 4
"""Kind: the `Record` recovery made of a request whose worker died. Only in `recovery.seg`."""

ENDS: Final = frozenset((CLOSED, WHOLE, RECOVERED))
"""The kinds of entries that are a record."""

HELD: Final = 5
"""Kind: an `Opened` again, with a larger hold: it replaces the one of the same request."""
LAST_KIND: Final = HELD

RECOVERY: Final = "recovery.seg"
"""The name of what recovery writes."""


def crc_seed(salt: int, kind: int) -> int:
    """What an entry's checksum begins with."""
    return (salt + kind) & 0xFFFFFFFF


def segment_path(directory: Path, sequence: int) -> Path:
    """Where a directory's segment of this number is."""
    return directory / f"{sequence:06d}.seg"

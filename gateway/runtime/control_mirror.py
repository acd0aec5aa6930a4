"""What was made by API, as it was last in force: kept beside the store, for a start without it. (I/O)"""

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.config.entries import Entry
from gateway.runtime.state_dir import write_whole

FILE = "control-mirror.msgpack"
FORMAT = 1


class _Mirror(msgspec.Struct, frozen=True):
    format: int
    entries: list[Entry]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Mirror)


def write(state_dir: Path, entries: list[Entry]) -> None:
    """Keeps these instead of those before, whole or not at all. OSError."""
    write_whole(state_dir / FILE, _encoder.encode(_Mirror(FORMAT, entries)))


def read(state_dir: Path) -> list[Entry] | None:
    """Those kept last; None where there are none that can be read."""
    try:
        found = _decoder.decode((state_dir / FILE).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None
    return found.entries if found.format == FORMAT else None

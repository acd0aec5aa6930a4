"""gateway.runtime.control_mirror"""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from gateway.config.entries import Entry
from gateway.runtime import control_mirror

ENTRIES = [
    Entry("key", "k", b'{"hash": "sha256:00"}', 3, 1, 2, "alice", 7, "acme"),
    Entry("tenant", "t", b"{}", 1, 1, 1, "", 1),
]


def test_what_is_kept_is_read_again_and_by_nobody_else(tmp_path: Path) -> None:
    control_mirror.write(tmp_path, ENTRIES)
    assert control_mirror.read(tmp_path) == ENTRIES
    assert stat.S_IMODE((tmp_path / control_mirror.FILE).stat().st_mode) == 0o600
    control_mirror.write(tmp_path, [])
    assert control_mirror.read(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == [control_mirror.FILE]


@pytest.mark.parametrize("content", [None, b"", b"x", msgspec.msgpack.encode({"format": 99, "entries": []})])
def test_what_cannot_be_read_is_no_copy(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / control_mirror.FILE).write_bytes(content)
    assert control_mirror.read(tmp_path) is None

from __future__ import annotations

import sys
import zlib
from pathlib import Path

import msgspec

from gateway.store.layout import ENTRY_HEAD, HEADER, MAX_ENTRY_BYTES, WHOLE, crc_seed, segment_path
from tests.support.journals import a_journal, a_record


def test_the_bytes_of_a_segment_are_those_the_layout_gives(tmp_path: Path) -> None:
    """Written out here once more, by hand: a journal must be readable by the next version."""
    journal = a_journal(tmp_path, slot=7)
    journal.add(a_record("req_1"))
    data = segment_path(journal.directory, 1).read_bytes()
    journal.stop()
    order = sys.byteorder
    assert data[:8] == b"lockgate"
    assert int.from_bytes(data[8:12], order) == 1
    assert int.from_bytes(data[12:16], order) == 7
    assert int.from_bytes(data[16:24], order) == 1_800_000_000_000
    assert int.from_bytes(data[24:28], order) == 1
    salt = int.from_bytes(data[28:32], order)
    payload = msgspec.msgpack.encode(a_record("req_1"))
    assert int.from_bytes(data[32:36], order) == 3 << 24 | len(payload)
    assert int.from_bytes(data[36:40], order) == zlib.crc32(payload, (salt + 3) % 2**32)
    assert data[40 : 40 + len(payload)] == payload
    assert not any(data[40 + len(payload) :])


def test_heads_keep_entries_aligned() -> None:
    assert HEADER.size % 4 == ENTRY_HEAD.size % 4 == 0


def test_a_length_fits_beside_its_kind() -> None:
    assert MAX_ENTRY_BYTES < 1 << 24


def test_a_seed_stays_a_word() -> None:
    assert crc_seed(2**32 - 1, WHOLE) == 2


def test_segments_sort_by_name_as_they_do_by_number() -> None:
    names = [segment_path(Path(), number).name for number in (1, 9, 10, 99_999, 100_000, 999_999)]
    assert names == sorted(names)

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.store.journal import Journal
from gateway.store.layout import HEADER, WHOLE, segment_path
from gateway.store.segment import SegmentReader
from tests.support.journals import a_journal, a_record, dead_copy

COUNT = 5


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A segment of `COUNT` records that nobody writes any more."""
    journal = a_journal(tmp_path / "live")
    for number in range(COUNT):
        journal.add(a_record(f"req_{number}"))
    copy = dead_copy(journal, tmp_path / "dead")
    journal.stop()
    return segment_path(copy, 1)


def places(path: Path) -> list[int]:
    """Where each entry begins, and where the next one would."""
    data = path.read_bytes()
    found = [data.index(f"req_{number}".encode()) for number in range(COUNT)]
    size = found[1] - found[0]
    return [HEADER.size + number * size for number in range(COUNT + 1)]


def change(path: Path, at: int, data: bytes) -> None:
    whole = bytearray(path.read_bytes())
    whole[at : at + len(data)] = data
    path.write_bytes(whole)


def ids(reader: SegmentReader) -> list[str]:
    """The ids read until nothing is given, looking behind a hole as a reader of a finished file does."""
    found: list[str] = []
    while True:
        entries = reader.read()
        assert all(kind == WHOLE for kind, _ in entries)
        found += [msgspec.msgpack.decode(payload)[0] for _, payload in entries]
        if not entries and reader.rest_is_empty():
            reader.close()
            return found


def test_an_undamaged_file_gives_every_entry_once(path: Path) -> None:
    reader = SegmentReader(path)
    assert ids(reader) == ["req_0", "req_1", "req_2", "req_3", "req_4"]
    assert reader.damaged == 0


def test_a_changed_byte_costs_one_entry_and_is_counted(path: Path) -> None:
    change(path, places(path)[2] + 20, b"\xff")
    reader = SegmentReader(path)
    assert ids(reader) == ["req_0", "req_1", "req_3", "req_4"]
    assert reader.damaged == 1


def test_a_wrong_length_does_not_lead_the_reader_astray(path: Path) -> None:
    change(path, places(path)[1], (WHOLE << 24 | 60_000).to_bytes(4, "little"))
    reader = SegmentReader(path)
    assert ids(reader) == ["req_0", "req_2", "req_3", "req_4"]
    assert reader.damaged == 1


def test_a_hole_of_zeros_is_noticed_when_the_file_is_finished(path: Path) -> None:
    start, end = places(path)[1], places(path)[3]
    change(path, start, bytes(end - start))
    reader = SegmentReader(path)
    assert ids(reader) == ["req_0", "req_3", "req_4"]
    assert reader.damaged == 1


def test_a_file_cut_in_the_middle_gives_what_is_whole(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: places(path)[3] + 50])
    reader = SegmentReader(path)
    assert ids(reader) == ["req_0", "req_1", "req_2"]
    assert reader.damaged == 1


def test_a_file_cut_within_its_header_gives_nothing_and_is_counted(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:10])
    reader = SegmentReader(path)
    assert ids(reader) == []
    assert reader.damaged == 1


def test_a_file_of_another_version_is_not_guessed_at(path: Path) -> None:
    change(path, 8, b"\x63")
    reader = SegmentReader(path)
    assert ids(reader) == []
    assert reader.damaged == 1


def test_an_entry_without_its_length_was_never_committed(path: Path) -> None:
    change(path, places(path)[4], bytes(4))
    reader = SegmentReader(path)
    reader.read()
    assert reader.rest_is_torn()
    assert reader.damaged == 0


def test_an_entry_a_caller_smuggled_into_a_text_is_never_found(tmp_path: Path) -> None:
    """A whole segment travels inside a caller's text; then the entry around it is damaged, so the reader searches
    there."""
    other: Journal = a_journal(tmp_path / "other")
    other.add(a_record("req_forged"))
    forged = segment_path(other.directory, 1).read_bytes()[HEADER.size : HEADER.size + other.written_bytes]
    other.stop()
    journal = a_journal(tmp_path / "live")
    journal.add(a_record("req_0", conversation=" " * 4_000))
    journal.add(a_record("req_1"))
    path = segment_path(dead_copy(journal, tmp_path / "dead"), 1)
    journal.stop()
    spaces = path.read_bytes().index(b" " * 3_000)
    for offset in range(4):
        change(path, spaces + 1_000 * offset + offset, forged[:900])
    reader = SegmentReader(path)
    assert ids(reader) == ["req_1"]


def test_entries_written_after_damage_in_a_living_file_are_still_read(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_0"))
    end = journal.written_bytes
    journal.add(a_record("req_1"))
    path = segment_path(journal.directory, 1)
    with path.open("r+b") as file:
        file.seek(end + 30)
        file.write(b"\xff")
    reader = SegmentReader(path)
    assert len(reader.read()) == 1
    journal.add(a_record("req_2"))
    assert ids(reader) == ["req_2"]
    assert reader.damaged == 1
    journal.stop()

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest

from gateway.errors import StoreUnavailable
from gateway.store.journal import Journal
from gateway.store.journal_read import segment_numbers, writer_lives
from gateway.store.layout import MIN_SEGMENT_BYTES, segment_path
from tests.support.journals import a_journal, a_record, fill, opened, read_all


class Disk:
    """Room for so many segments; then it is full until room is made."""

    def __init__(self, segments: int) -> None:
        self.segments = segments

    def allocate(self, fd: int, size_bytes: int) -> None:
        if not self.segments:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.segments -= 1
        os.posix_fallocate(fd, 0, size_bytes)


def test_what_was_written_is_in_the_file_when_the_call_returns(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_1"))
    assert list(read_all(journal.directory)[0].open) == ["req_1"]
    journal.close(a_record("req_1"))
    tail, records = read_all(journal.directory)
    assert (records, tail.open) == ([a_record("req_1")], {})
    assert (journal.opened, journal.closed) == (1, 1)
    journal.stop()


def test_a_refusal_counts_as_opened_and_closed(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_1"))
    tail, records = read_all(journal.directory)
    assert [record.id for record in records] == ["req_1"]
    assert (tail.opened, tail.closed, tail.unopened) == (1, 1, 0) == (journal.opened, journal.closed, 0)
    journal.stop()


def test_entries_go_on_in_the_reserve_and_none_is_lost_at_the_border(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    count = fill(journal, segments=3)
    tail, records = read_all(journal.directory)
    assert [record.id for record in records] == [f"req_{number}" for number in range(count)]
    assert tail.damaged == 0
    assert journal.sequence == 4
    journal.stop()


def test_the_position_is_where_the_next_entry_begins(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for _ in range(2):
        segment, used = journal.position
        path = segment_path(journal.directory, segment)
        assert not any(path.read_bytes()[used:])
        journal.add(a_record("req_1"))
        assert path.read_bytes()[used:].lstrip(b"\0")
        assert journal.position > (segment, used)
    fill(journal, segments=1)
    assert journal.position[0] == 2
    journal.stop()


def test_a_segment_filled_before_the_next_was_made_waits_for_it(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for number in range(500):  # several segments, and nobody refills
        journal.add(a_record(f"req_{number}", conversation="c" * 2_000))
    assert (journal.unrecorded, journal.accepts_new) == (0, True)
    assert journal.sequence > 4
    assert len(read_all(journal.directory)[1]) == 500
    journal.stop()


def test_two_journals_of_one_slot_never_share_a_directory(tmp_path: Path) -> None:
    first, second = a_journal(tmp_path), a_journal(tmp_path)
    assert first.directory != second.directory
    first.stop()
    second.stop()


def test_others_see_that_the_writer_lives_until_it_stops(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    assert writer_lives(journal.directory)
    journal.stop()
    assert not writer_lives(journal.directory)


def test_stopping_gives_back_what_was_not_used(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_1"))
    journal.stop()
    assert segment_numbers(journal.directory) == [1]
    assert sum(path.stat().st_size for path in journal.directory.iterdir()) < 1_000
    assert [record.id for record in read_all(journal.directory)[1]] == ["req_1"]


def test_a_full_disk_turns_new_requests_away_and_lets_running_ones_end(tmp_path: Path) -> None:
    disk = Disk(segments=2)
    journal = a_journal(tmp_path, allocate=disk.allocate)
    journal.open(opened("req_running"))
    assert journal.accepts_new
    fill(journal)
    assert not journal.refill()
    assert not journal.accepts_new
    journal.close(a_record("req_running"))
    assert journal.unwritten == 0
    assert "req_running" in {record.id for record in read_all(journal.directory)[1]}
    journal.stop()


def test_refusals_do_not_use_up_the_room_that_running_requests_need(tmp_path: Path) -> None:
    journal = a_journal(tmp_path, allocate=Disk(segments=1).allocate)
    before = journal.written_bytes
    journal.add(a_record("req_refused"))
    assert journal.written_bytes == before
    assert (journal.unrecorded, journal.opened, journal.closed) == (1, 0, 0)
    journal.stop()


def test_the_journal_accepts_again_when_there_is_room_again(tmp_path: Path) -> None:
    disk = Disk(segments=1)
    journal = a_journal(tmp_path, allocate=disk.allocate)
    assert not journal.accepts_new
    disk.segments = 1
    assert journal.refill()
    assert journal.accepts_new
    journal.stop()


def test_a_failed_allocation_leaves_no_file_behind(tmp_path: Path) -> None:
    journal = a_journal(tmp_path, allocate=Disk(segments=1).allocate)
    assert sorted(path.name for path in journal.directory.iterdir()) == ["000001.seg", "lock"]
    journal.stop()


def test_without_any_room_opening_is_refused_and_ends_are_counted(tmp_path: Path) -> None:
    journal = a_journal(tmp_path, allocate=Disk(segments=1).allocate)
    written = 0
    while journal.written_bytes < MIN_SEGMENT_BYTES - 200:
        journal.open(opened(f"req_{written}"))
        written += 1
    with pytest.raises(StoreUnavailable):
        journal.open(opened("req_that_does_not_fit" * 10))
    assert journal.opened == written
    for number in range(written):
        journal.close(a_record(f"req_{number}"))
    assert journal.closed + journal.unwritten == written
    assert journal.unwritten > 0
    tail, _ = read_all(journal.directory)
    assert len(tail.open) == journal.unwritten  # recovery will close these
    journal.stop()


def test_a_journal_without_room_for_its_first_segment_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        a_journal(tmp_path, allocate=Disk(segments=0).allocate)


def test_a_segment_must_have_room_for_the_longest_entry(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="segment_bytes"):
        a_journal(tmp_path, segment_bytes=MIN_SEGMENT_BYTES - 4)


def test_texts_that_are_not_unicode_and_numbers_too_large_are_written_all_the_same(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    given = a_record("req_1", conversation="half a pair: \ud800", input_tokens=2**80)
    journal.add(given)
    journal.add(msgspec.structs.astuple(given))
    first, second = read_all(journal.directory)[1]
    assert first == second
    assert first.conversation == "half a pair: ?"
    assert first.input_tokens == 2**63 - 1
    journal.stop()


def test_a_record_too_long_for_its_own_good_is_cut_and_not_refused(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    given = a_record("req_1", conversation="c" * 1_000_000)
    journal.add(given)
    journal.add(msgspec.structs.astuple(given))
    first, second = read_all(journal.directory)[1]
    assert first == second
    assert 0 < len(first.conversation) < 1_000
    journal.stop()


def test_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    journal: Journal = a_journal(tmp_path)
    for path in (journal.directory, *journal.directory.iterdir()):
        assert path.stat().st_mode & 0o077 == 0
    journal.stop()

from __future__ import annotations

from pathlib import Path

import msgspec

from gateway.store.journal import Journal
from gateway.store.journal_read import Tail, directories, segment_numbers, writer_lives
from gateway.store.layout import CLOSED, OPENED, WHOLE, segment_path
from gateway.store.records import Opened
from tests.support.journals import a_journal, a_record, dead_copy, fill, opened, read_all, recovered


def ids(tail: Tail) -> list[str]:
    return [record.id for record in tail.drain()]


def write(journal: Journal, kind: int, payload: bytes) -> None:
    assert journal._append(kind, payload)


def test_a_tail_hands_out_each_record_once_as_it_is_written(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    tail = Tail(journal.directory)
    assert ids(tail) == []
    journal.open(opened("req_1"))
    assert ids(tail) == []
    assert list(tail.open) == ["req_1"]
    journal.close(a_record("req_1"))
    journal.add(a_record("req_2"))
    assert ids(tail) == ["req_1", "req_2"]
    assert ids(tail) == []
    assert tail.open == {}
    journal.stop()


def test_a_tail_follows_from_segment_to_segment(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    tail = Tail(journal.directory)
    count = fill(journal, segments=1)
    first = ids(tail)
    count = fill(journal, first_id=count, segments=2)
    assert first + ids(tail) == [f"req_{number}" for number in range(count)]
    assert tail.sequence == 4
    journal.stop()


def test_an_unused_reserve_is_not_taken_for_the_next_segment(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    assert segment_numbers(journal.directory) == [1, 2]
    tail = Tail(journal.directory)
    ids(tail)
    journal.add(a_record("req_1"))
    assert ids(tail) == ["req_1"]
    assert tail.sequence == 1
    journal.stop()


def test_a_batch_is_bounded(tmp_path: Path) -> None:
    journal = a_journal(tmp_path, segment_bytes=2**21)
    for number in range(3_000):
        journal.add(a_record(f"req_{number}"))
    tail = Tail(journal.directory)
    batch = tail.read(limit=10)
    assert 10 <= len(batch) < 2_000
    journal.stop()


def test_a_larger_hold_replaces_what_was_opened_and_is_counted_as_nothing(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_1"))
    assert journal.held(msgspec.structs.replace(opened("req_1"), held_output=128, held_nanos=7))
    tail = Tail(journal.directory)
    assert ids(tail) == []
    assert msgspec.msgpack.decode(tail.open["req_1"][1], type=Opened).held_output == 128
    journal.close(a_record("req_1"))
    assert journal.held(opened("req_1"))  # one that is not open any more opens nothing
    assert ids(tail) == ["req_1"]
    assert (tail.open, tail.opened, tail.closed, tail.unopened) == ({}, 1, 1, 0)
    journal.stop()


def test_a_closed_request_that_was_never_opened_is_counted(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.close(a_record("req_1"))
    tail, records = read_all(journal.directory)
    assert (len(records), tail.unopened) == (1, 1)
    journal.stop()


def test_an_entry_of_unknown_content_is_counted_and_the_next_one_read(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for kind in (OPENED, CLOSED, WHOLE):
        write(journal, kind, msgspec.msgpack.encode({"not": "an array"}))
        write(journal, kind, b"\xa3a\xff\xff")
    journal.add(a_record("req_1"))
    tail, records = read_all(journal.directory)
    assert [record.id for record in records] == ["req_1"]
    assert (tail.unreadable, tail.damaged) == (6, 0)
    journal.stop()


def test_a_missing_segment_is_damage_and_reading_goes_on_behind_it(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "live")
    count = fill(journal, segments=3)
    directory = dead_copy(journal, tmp_path / "dead")
    journal.stop()
    segment_path(directory, 2).unlink()
    tail, records = read_all(directory)
    assert tail.damaged == 1
    assert 0 < len(records) < count
    assert records[-1].id == f"req_{count - 1}"


def test_segments_dropped_from_the_beginning_are_no_damage(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    fill(journal, segments=2)
    segment_path(journal.directory, 1).unlink()
    assert read_all(journal.directory)[0].damaged == 0
    journal.stop()


def test_what_a_death_cut_short_is_torn_and_not_damaged(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "live")
    journal.add(a_record("req_1"))
    end = journal.written_bytes
    journal.add(a_record("req_2"))
    directory = dead_copy(journal, tmp_path / "dead")
    journal.stop()
    with segment_path(directory, 1).open("r+b") as file:
        file.seek(end)
        file.write(bytes(4))
    tail, records = recovered(directory)
    assert [record.id for record in records] == ["req_1"]
    assert (tail.torn, tail.damaged) == (1, 0)


def test_a_recovery_ends_a_tail(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_1"))
    tail = Tail(journal.directory)
    ids(tail)
    journal.stop()
    recovered(journal.directory)
    assert [(record.id, record.outcome) for record in tail.drain()] == [("req_1", "crashed")]
    assert tail.finished
    assert tail.open == {}


def test_directories_are_listed_oldest_first_and_those_being_born_are_not(tmp_path: Path) -> None:
    assert directories(tmp_path) == []
    names = ["0-000000000002", "1-000000000001", "0-000000000003", ".0-000000000004.77"]
    for name in names:
        (tmp_path / "journal" / name).mkdir(parents=True)
    assert [path.name for path in directories(tmp_path)] == ["1-000000000001", "0-000000000002", "0-000000000003"]


def test_a_directory_without_a_lock_has_no_living_writer(tmp_path: Path) -> None:
    assert not writer_lives(tmp_path)
    assert segment_numbers(tmp_path / "gone") == []

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from gateway.store.journal_read import Tail, segment_numbers
from gateway.store.layout import HEADER, OPENED, RECOVERY, segment_path
from gateway.store.records import Record
from gateway.store.recovery import recover
from tests.support.journals import a_journal, a_record, dead_copy, fill, opened, read_all, recovered


def crash(tmp_path: Path) -> Path:
    """A worker that died with req_2 and req_3 open."""
    journal = a_journal(tmp_path / "live")
    for number in (1, 2, 3):
        journal.open(opened(f"req_{number}"))
    journal.close(a_record("req_1"))
    directory = dead_copy(journal, tmp_path / "dead")
    journal.stop()
    return directory


def outcomes(records: list[Record]) -> dict[str, str]:
    found = {record.id: record.outcome for record in records}
    assert len(found) == len(records), "a request has two records"
    return found


def test_what_a_dead_worker_left_open_is_closed_as_crashed(tmp_path: Path) -> None:
    directory = crash(tmp_path)
    tail, records = recovered(directory)
    assert outcomes(records) == {"req_1": "answered", "req_2": "crashed", "req_3": "crashed"}
    assert (tail.opened, tail.closed, tail.recovered, len(tail.open)) == (3, 3, 2, 0)


def test_a_dead_request_is_charged_the_last_hold_it_had(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "live")
    held = msgspec.structs.replace(opened("req_1"), held_input=10, held_output=64, held_nanos=740)
    journal.open(held)
    assert journal.held(msgspec.structs.replace(held, held_output=128, held_nanos=1_380))
    directory = dead_copy(journal, tmp_path / "dead")
    journal.stop()
    (record,) = recovered(directory)[1]
    assert (record.charge_nanos, record.held_output, record.usage_from) == (1_380, 128, "held")


def test_recovering_again_changes_nothing(tmp_path: Path) -> None:
    directory = crash(tmp_path)
    _, first = recovered(directory)
    files = {path.name: path.read_bytes() for path in directory.iterdir()}
    _, again = recovered(directory)
    assert again == first
    assert {path.name: path.read_bytes() for path in directory.iterdir()} == files


def test_a_living_worker_is_left_alone(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_1"))
    delivered: list[Record] = []
    assert not recover(Tail(journal.directory), delivered.extend)
    assert delivered == []
    assert not (journal.directory / RECOVERY).exists()
    journal.close(a_record("req_1"))
    assert journal.closed == 1
    journal.stop()


def test_a_recovery_killed_before_its_end_is_done_again(tmp_path: Path) -> None:
    directory = crash(tmp_path)
    (directory / "recovery.new").write_bytes(b"half a recov")
    (directory / "000003.new").write_bytes(bytes(100))
    _, records = recovered(directory)
    assert len(records) == 3
    assert not list(directory.glob("*.new"))


def test_a_recovery_killed_after_it_gave_back_space_is_done_again(tmp_path: Path) -> None:
    directory = crash(tmp_path)
    recovered(directory)
    (directory / RECOVERY).unlink()
    assert outcomes(recovered(directory)[1]) == {"req_1": "answered", "req_2": "crashed", "req_3": "crashed"}


def test_a_worker_that_stopped_in_order_leaves_nothing_to_recover(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_1"))
    journal.close(a_record("req_1"))
    journal.stop()
    tail, records = recovered(journal.directory)
    assert (len(records), tail.recovered) == (1, 0)


def test_recovery_gives_back_the_reserve_and_the_unused_end(tmp_path: Path) -> None:
    directory = crash(tmp_path)
    recovered(directory)
    assert segment_numbers(directory) == [1]
    assert sum(path.stat().st_size for path in directory.iterdir()) < 3_000
    assert len(read_all(directory)[1]) == 3


def test_a_damaged_segment_is_kept_as_it_is(tmp_path: Path) -> None:
    directory = crash(tmp_path)
    path = segment_path(directory, 1)
    with path.open("r+b") as file:
        file.seek(HEADER.size + 20)
        file.write(b"\xff\xff")
    before = path.read_bytes()
    tail, records = recovered(directory)
    assert tail.damaged == 1
    assert path.read_bytes() == before
    assert outcomes(records) == {"req_1": "answered", "req_2": "crashed", "req_3": "crashed"}
    assert tail.unopened == 1


def test_a_tail_that_had_read_part_delivers_only_the_rest(tmp_path: Path) -> None:
    directory = crash(tmp_path)
    tail = Tail(directory)
    assert [record.id for record in tail.drain()] == ["req_1"]
    records: list[Record] = []
    assert recover(tail, records.extend)
    assert outcomes(records) == {"req_2": "crashed", "req_3": "crashed"}


def test_an_opening_of_another_version_is_recovered_by_its_id(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "live")
    journal._append(OPENED, msgspec.msgpack.encode(["req_9", "not a time"]))
    directory = dead_copy(journal, tmp_path / "dead")
    journal.stop()
    assert outcomes(recovered(directory)[1]) == {"req_9": "crashed"}


def test_a_full_disk_fails_the_recovery_and_leaves_it_to_be_done(tmp_path: Path) -> None:
    directory = crash(tmp_path)
    (directory / "recovery.new").mkdir()  # stands for any refusal to write
    with pytest.raises(OSError, match=r"recovery\.new"):
        recovered(directory)
    assert not (directory / RECOVERY).exists()
    os.rmdir(directory / "recovery.new")
    assert len(recovered(directory)[1]) == 3


def test_many_segments_with_requests_open_in_each_are_recovered(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "live")
    last = 0
    for number in range(3):
        journal.open(opened(f"open_{number}"))
        last = fill(journal, first_id=last)
    directory = dead_copy(journal, tmp_path / "dead")
    journal.stop()
    tail, records = recovered(directory)
    assert len(outcomes(records)) == last + 3
    assert tail.recovered == 3

from __future__ import annotations

import os
from pathlib import Path

from gateway.store.journal import Journal
from gateway.store.journal_read import Tail, directories, segment_numbers
from gateway.store.layout import MIN_SEGMENT_BYTES
from gateway.store.retention import Retained
from gateway.store.retention import retain as retain_what_is_in_the_ledger
from tests.support.journals import a_journal, a_record, fill, opened, recovered
from tests.support.ledgers import update, written


def retain(state_dir: Path, tails: list[Tail], limit_bytes: int) -> Retained:
    """With a ledger that has read everything, and leases that are settled."""
    ledger = written(state_dir)
    for journal in ledger.unsettled():
        ledger.settled(journal)
    ledger.close()
    return retain_what_is_in_the_ledger(state_dir, tails, limit_bytes)


def ended(state_dir: Path, slot: int, segments: int) -> Path:
    """A recovered directory of `segments` whole segments and a bit."""
    journal = a_journal(state_dir, slot=slot)
    fill(journal, segments=segments)
    journal.stop()
    recovered(journal.directory)
    return journal.directory


def read(journal: Journal) -> Tail:
    tail = Tail(journal.directory)
    list(tail.drain())
    return tail


def age(directory: Path, time_s: int) -> None:
    """Gives segments a time, later ones a later one."""
    for number, path in enumerate(sorted(directory.glob("0*.seg"))):
        os.utime(path, (time_s + number, time_s + number))


def test_nothing_is_dropped_within_the_limit(tmp_path: Path) -> None:
    ended(tmp_path, 0, 2)
    kept = retain(tmp_path, [], 10 * MIN_SEGMENT_BYTES)
    assert (kept.dropped_bytes, kept.dropped_segments) == (0, 0)
    assert kept.kept_bytes == sum(path.stat().st_size for path in tmp_path.rglob("0*.seg"))


def test_the_oldest_segments_go_first_whichever_worker_wrote_them(tmp_path: Path) -> None:
    young, old = ended(tmp_path, 0, 2), ended(tmp_path, 1, 2)
    age(young, 2_000)
    age(old, 1_000)
    limit = sum(path.stat().st_size for path in young.glob("0*.seg")) + 4_000
    assert retain(tmp_path, [], limit).dropped_segments == 2
    assert segment_numbers(old) == [3]
    assert segment_numbers(young) == [1, 2, 3]


def test_a_directory_whose_segments_are_all_gone_goes_too(tmp_path: Path) -> None:
    ended(tmp_path, 0, 2)
    assert retain(tmp_path, [], 0).kept_bytes == 0
    assert directories(tmp_path) == []


def test_a_directory_that_was_not_recovered_is_left_alone(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    fill(journal, segments=2)
    journal.stop()
    assert retain(tmp_path, [], 0).dropped_segments == 0


def test_of_a_living_worker_only_what_was_read_may_go(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    tail = Tail(journal.directory)
    fill(journal, segments=2)
    assert retain(tmp_path, [tail], 0).dropped_segments == 0
    list(tail.drain())
    assert retain(tmp_path, [tail], 0).dropped_segments == 2
    assert segment_numbers(journal.directory)[0] == 3
    journal.stop()


def test_a_segment_in_which_a_running_request_was_opened_stays(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    next_id = fill(journal)
    journal.open(opened("req_long"))
    fill(journal, first_id=next_id, segments=2)
    tail = read(journal)
    assert retain(tmp_path, [tail], 0).dropped_segments == 1
    assert segment_numbers(journal.directory)[0] == 2
    journal.close(a_record("req_long"))
    list(tail.drain())
    assert retain(tmp_path, [tail], 0).dropped_segments == 2
    journal.stop()


def test_a_recovered_directory_still_being_read_is_not_dropped_under_its_reader(tmp_path: Path) -> None:
    directory = ended(tmp_path, 0, 2)
    tail = Tail(directory)
    tail.read(1)
    retain(tmp_path, [tail], 0)
    assert directory.exists()
    assert tail.sequence == 1
    assert len(list(tail.drain())) > 0
    tail.close()


def test_what_the_ledger_has_not_read_stays_whatever_the_limit(tmp_path: Path) -> None:
    directory = ended(tmp_path, 0, 2)
    assert retain_what_is_in_the_ledger(tmp_path, [], 0).dropped_segments == 0
    update(tmp_path)
    assert retain_what_is_in_the_ledger(tmp_path, [], 0).dropped_segments == 0, "its worker's leases are not settled"
    assert retain(tmp_path, [], 0).dropped_segments == 3
    assert not directory.exists()


def test_of_a_living_worker_only_what_the_ledger_has_read_may_go(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    fill(journal, segments=2)
    update(tmp_path)
    fill(journal, first_id=10_000, segments=2)
    tail = read(journal)
    assert retain_what_is_in_the_ledger(tmp_path, [tail], 0).dropped_segments == 2
    assert segment_numbers(journal.directory)[0] == 3
    journal.stop()


def test_a_ledger_that_cannot_be_read_keeps_everything(tmp_path: Path) -> None:
    ended(tmp_path, 0, 2)
    update(tmp_path)
    (tmp_path / "ledger" / "manifest.json").write_text("?")
    assert retain_what_is_in_the_ledger(tmp_path, [], 0).dropped_segments == 0

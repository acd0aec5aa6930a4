from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gateway.clock import ManualClock
from gateway.store import manifest, record_rows
from gateway.store.journal_follow import Position
from gateway.store.ledger import KEEP_REPLACED_S, Ledger, LedgerBusy
from gateway.store.records import Record
from tests.support.journals import STARTED_NS, a_journal, a_record, dead_copy, fill, opened, recovered
from tests.support.ledgers import ids, update, written

DAY_NS = 86_400 * 10**9


def test_what_is_closed_is_added_once(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_a"))
    journal.add(a_record("req_b"))
    assert update(tmp_path) == 1
    assert update(tmp_path) == 1
    journal.close(a_record("req_a"))
    assert update(tmp_path) == 2
    assert sorted(ids(tmp_path)) == ["req_a", "req_b"]
    journal.stop()


def test_nothing_new_changes_no_file(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record())
    update(tmp_path)
    path = manifest.folder(tmp_path) / "manifest.json"
    before = path.stat().st_ino
    update(tmp_path)
    assert path.stat().st_ino == before
    journal.stop()


def test_journals_of_all_workers_go_in_and_those_that_are_recovered_to_their_end(tmp_path: Path) -> None:
    for slot in (0, 1):
        journal = a_journal(tmp_path / "live", slot=slot)
        journal.add(a_record(f"req_{slot}"))
        journal.open(opened(f"req_open_{slot}"))
        recovered(dead_copy(journal, tmp_path))
        journal.stop()
    ledger = written(tmp_path)
    assert ledger.manifest.rows == 4
    assert all(state.finished and not state.settled for state in ledger.manifest.journals.values())
    assert len(ledger.unsettled()) == 2
    ledger.settled(ledger.unsettled()[0])
    assert len(ledger.unsettled()) == 1
    ledger.close()
    assert sum(state.settled for state in manifest.read(tmp_path).journals.values()) == 1


def test_each_day_has_its_files(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for number in range(4):
        journal.add(a_record(f"req_{number}", started_ns=STARTED_NS + number % 2 * DAY_NS))
    journal.add(a_record("req_lost", started_ns=0))
    ledger = written(tmp_path)
    assert {file.day: file.rows for file in ledger.manifest.files} == {
        "1970-01-01": 1,
        "2027-01-15": 2,
        "2027-01-16": 2,
    }
    for file in ledger.manifest.files:
        assert (manifest.folder(tmp_path) / file.name).stat().st_size == file.bytes
    ledger.close()
    journal.stop()


def test_a_long_backlog_is_added_in_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.store.ledger.PASS_ENTRIES", 100)
    journal = a_journal(tmp_path)
    count = fill(journal, segments=4, size=500)
    ledger = Ledger(tmp_path, ManualClock())
    passes = 1
    while ledger.add():
        passes += 1
    assert passes > 1
    assert ledger.manifest.rows == count == len(set(ids(tmp_path)))
    ledger.close()
    journal.stop()


def test_who_watches_sees_every_record_and_where_it_stands(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_a"))
    journal.close(a_record("req_a"))
    seen: list[tuple[str, Position, Position, list[tuple[int, str]]]] = []

    def see(name: str, begin: Position, end: Position, records: Sequence[tuple[int, Record]]) -> None:
        seen.append((name, begin, end, [(offset, record.id) for offset, record in records]))

    ledger = Ledger(tmp_path, ManualClock(), see)
    ledger.add()
    place = journal.position
    assert seen == [(journal.directory.name, (1, 32), place, [(place[1], "req_a")])]
    ledger.close()
    journal.stop()


def test_only_one_process_writes(tmp_path: Path) -> None:
    first = Ledger(tmp_path, ManualClock())
    with pytest.raises(LedgerBusy, match="another process writes"):
        Ledger(tmp_path, ManualClock())
    first.close()
    Ledger(tmp_path, ManualClock()).close()


def test_an_entry_that_is_no_record_is_counted_and_passed_over(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal._append(3, b"\xc1nonsense")
    journal.add(a_record())
    ledger = written(tmp_path)
    assert (ledger.manifest.rows, ledger.unreadable) == (1, 1)
    ledger.close()
    journal.stop()


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record())
    update(tmp_path)
    folder = manifest.folder(tmp_path)
    stray, draft = folder / "2026-01-01" / "000099.parquet", folder / "rows.new"
    stray.parent.mkdir()
    for path in (stray, draft):
        path.write_bytes(b"half")
    assert update(tmp_path) == 1
    assert not stray.exists()
    assert not draft.exists()
    journal.stop()


def test_a_journal_that_was_dropped_is_forgotten_so_that_its_name_may_come_again(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_1"))
    update(tmp_path)
    journal.stop()
    for path in journal.directory.iterdir():
        path.unlink()
    journal.directory.rmdir()
    update(tmp_path)
    again = a_journal(tmp_path)
    assert again.directory == journal.directory
    again.add(a_record("req_2"))
    assert update(tmp_path) == 2
    again.stop()


def test_files_of_one_size_become_one_and_the_old_ones_go_after_a_while(tmp_path: Path) -> None:
    clock = ManualClock(wall_ns=STARTED_NS)
    journal = a_journal(tmp_path)
    ledger = Ledger(tmp_path, clock)
    for number in range(8):
        assert not ledger.merge()
        journal.add(a_record(f"req_{number}", charge_nanos=number))
        ledger.add()
    old = [manifest.folder(tmp_path) / file.name for file in ledger.manifest.files]
    old += [manifest.records_folder(tmp_path) / file.name for file in ledger.manifest.records]
    assert ledger.merge()
    assert ledger.merge()
    assert not ledger.merge()
    assert [file.rows for file in ledger.manifest.files] == [8]
    assert [file.rows for file in ledger.manifest.records] == [8]
    assert sorted(ids(tmp_path)) == [f"req_{number}" for number in range(8)]
    assert all(path.exists() for path in old)
    clock.advance(KEEP_REPLACED_S + 1)
    journal.add(a_record("req_9"))
    ledger.add()
    assert not any(path.exists() for path in old)
    assert len(ids(tmp_path)) == 9
    ledger.close()
    journal.stop()


def test_a_disk_that_takes_no_file_leaves_the_ledger_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_1"))
    ledger = Ledger(tmp_path, ManualClock())
    (manifest.folder(tmp_path) / "2027-01-15").write_text("a file where a folder is to be")
    with pytest.raises(OSError, match="2027-01-15"):
        ledger.add()
    ledger.close()
    monkeypatch.setattr("gateway.store.ledger_rows.from_json", lambda *_: "SELECT error('no space left')")
    (manifest.folder(tmp_path) / "2027-01-15").unlink()
    ledger = Ledger(tmp_path, ManualClock())
    with pytest.raises(OSError, match=r"cannot write .*/ledger: .*no space left"):
        ledger.add()
    ledger.close()
    monkeypatch.undo()
    assert manifest.read(tmp_path).rows == 0
    assert update(tmp_path) == 1
    journal.stop()


def test_records_that_do_not_become_rows_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_a"))
    ledger = written(tmp_path)
    assert ledger.gap == 0
    take = ledger._table.take
    monkeypatch.setattr(ledger._table, "take", lambda rows: take(list(rows)[1:]))
    journal.add(a_record("req_b"))
    journal.add(a_record("req_c"))
    ledger.add()
    assert ledger.gap == 1
    ledger.close()
    journal.stop()


def test_one_file_of_many_that_lacks_a_row_takes_the_place_of_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = a_journal(tmp_path)
    ledger = written(tmp_path, ManualClock(wall_ns=STARTED_NS + 3 * DAY_NS))
    for number in range(3):
        journal.add(a_record(f"req_{number}", started_ns=STARTED_NS))
        ledger.add()
    before = ledger.manifest
    merged = record_rows.merged
    with monkeypatch.context() as patch:
        patch.setattr(record_rows, "merged", lambda paths: merged(paths[1:]))
        assert ledger.merge(), "the ledger's own files"
        with pytest.raises(OSError, match="1 requests would be lost"):
            ledger.merge()
    assert ledger.manifest.records == before.records
    while ledger.merge():
        pass
    assert [file.rows for file in ledger.manifest.records] == [3]
    ledger.close()
    journal.stop()

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import ManualClock
from gateway.store import duck, manifest
from gateway.store.ledger import Ledger
from gateway.store.ledger_rows import text
from gateway.store.manifest import JournalState, LedgerUnreadable
from gateway.store.usage import ask, write_parquet
from gateway.store.usage_query import Question
from tests.support.journals import STARTED_NS, a_journal, a_record, fill, opened
from tests.support.ledgers import ids, update


def test_what_is_in_files_and_what_is_only_in_journals_is_counted_once(tmp_path: Path) -> None:
    journal, other = a_journal(tmp_path), a_journal(tmp_path, slot=1)
    journal.add(a_record("req_1", charge_nanos=5))
    assert ask(tmp_path, Question(by=("id",))).rows[0][0] == "req_1"
    update(tmp_path)
    journal.add(a_record("req_2", charge_nanos=7))
    other.add(a_record("req_3"))
    journal.open(opened("req_still_running"))
    answer = ask(tmp_path, Question(by=("tenant",)))
    assert answer.columns[:2] == ("tenant", "requests")
    assert [row[:2] for row in answer.rows] == [("acme", 3)]
    assert answer.rows[0][answer.columns.index("cost_usd")] == Decimal("0.000000012")
    assert sorted(ids(tmp_path)) == ["req_1", "req_2", "req_3"]
    journal.stop()
    other.stop()


def test_it_changes_nothing_and_needs_no_lock(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record())
    ledger = Ledger(tmp_path, ManualClock())
    before = sorted(tmp_path.rglob("*"))
    assert ids(tmp_path) == ["req_1"]
    assert sorted(tmp_path.rglob("*")) == before
    ledger.close()
    journal.stop()


def test_days_that_are_not_asked_for_are_not_opened(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    day_ns = 86_400 * 10**9
    for number in range(3):
        journal.add(a_record(f"req_{number}", started_ns=STARTED_NS + number * day_ns))
    update(tmp_path)
    (damaged,) = (manifest.folder(tmp_path) / "2027-01-15").iterdir()
    damaged.write_bytes(b"no Parquet")
    since, until = STARTED_NS + day_ns, STARTED_NS + 5 * day_ns
    answer = ask(tmp_path, Question(by=("id",), since_ns=since, until_ns=until))
    assert sorted(row[0] for row in answer.rows) == ["req_1", "req_2"]
    with pytest.raises(LedgerUnreadable, match=r"2027-01-15/000001\.parquet"):
        ask(tmp_path, Question())
    journal.stop()


def test_files_that_were_merged_meanwhile_are_looked_for_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record())
    update(tmp_path)
    stale = manifest.read(tmp_path)
    stale.files = [manifest.LedgerFile("2027-01-15/009999.parquet", 1, 1)]
    answers: list[Any] = [stale, manifest.read(tmp_path)]
    monkeypatch.setattr(manifest, "read", lambda _: answers.pop(0))
    assert ids(tmp_path) == ["req_1"]
    answers += [stale] * 3
    with pytest.raises(OSError, match="cannot read the ledger"):
        ids(tmp_path)
    journal.stop()


def test_a_journal_that_was_read_on_and_dropped_meanwhile_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = a_journal(tmp_path)
    fill(journal, segments=2)
    stale = manifest.Manifest(journals={journal.directory.name: JournalState(1, 64)})
    update(tmp_path)
    (journal.directory / "000001.seg").unlink()
    now = manifest.read(tmp_path)
    answers: list[Any] = [stale, now]
    monkeypatch.setattr(manifest, "read", lambda _: answers.pop(0))
    assert len(ids(tmp_path)) == now.rows
    journal.stop()


def test_sums_can_be_written_to_a_file_of_exact_types(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record(charge_nanos=1))
    path = tmp_path / "it's.parquet"
    assert write_parquet(tmp_path, Question(by=("tenant",), window="day"), path) == 1
    with duck.connection(tmp_path) as database:
        described = database.execute(f"DESCRIBE SELECT * FROM read_parquet({text(str(path))})").fetchall()
    kinds = {row[0]: row[1] for row in described}
    assert kinds["day"] == kinds["tenant"] == "VARCHAR"
    assert kinds["input_tokens"] == "BIGINT"
    assert kinds["cost_usd"] == "DECIMAL(38,9)"
    journal.stop()


def test_a_manifest_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    manifest.folder(tmp_path).mkdir()
    (manifest.folder(tmp_path) / "manifest.json").write_text("?")
    with pytest.raises(LedgerUnreadable):
        ask(tmp_path, Question())

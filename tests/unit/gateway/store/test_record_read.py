from __future__ import annotations

from pathlib import Path

from gateway.store.record_query import ANY, NEWEST, Query
from gateway.store.record_read import record, records
from gateway.store.records import Attempt
from tests.support.journals import STARTED_NS, a_journal, a_record, dead_copy, opened, recovered


def found(state_dir: Path, query: Query) -> list[str]:
    return [record.id for record in records(state_dir, query)]


def test_a_record_comes_out_as_it_was_written_as_soon_as_its_request_ended(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(opened("req_running"))
    assert found(tmp_path, Query()) == []
    written = a_record(
        attempts=[Attempt("gpu-a", "http://a", "first", "sticky", [1, 0], 200, "ok", 1.0, 2.0, 3.0)],
        readings=[("tenant:acme|tokens", 5, 10)],
    )
    journal.add(written)
    assert list(records(tmp_path, Query())) == [written]
    assert record(tmp_path, "req_1") == written
    assert record(tmp_path, "req_running") is None
    journal.stop()


def test_there_are_none_where_no_gateway_ran(tmp_path: Path) -> None:
    assert found(tmp_path, Query()) == []


def test_they_come_in_the_order_asked_for_over_all_journals(tmp_path: Path) -> None:
    for slot in (0, 1):
        journal = a_journal(tmp_path, slot=slot)
        for number in range(3):
            journal.add(a_record(f"req_{number}{slot}", started_ns=STARTED_NS + number))
        journal.stop()
    oldest = ["req_00", "req_01", "req_10", "req_11", "req_20", "req_21"]
    assert found(tmp_path, Query()) == oldest
    assert found(tmp_path, Query(order=NEWEST)) == oldest[::-1]
    assert found(tmp_path, Query(limit=2)) == oldest[:2]
    assert found(tmp_path, Query(order=NEWEST, limit=2)) == oldest[:-3:-1]
    assert sorted(found(tmp_path, Query(order=ANY))) == oldest
    assert len(found(tmp_path, Query(order=ANY, limit=5))) == 5
    assert found(tmp_path, Query(ids=("req_10", "req_21"))) == ["req_10", "req_21"]


def test_what_recovery_made_is_among_them_and_what_is_no_record_is_passed_over(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "live")
    journal._append(3, b"\xc1nonsense")
    journal.add(a_record())
    journal.open(opened("req_open"))
    recovered(dead_copy(journal, tmp_path))
    journal.stop()
    assert sorted(found(tmp_path, Query())) == ["req_1", "req_open"]
    assert found(tmp_path, Query(code="crashed")) == ["req_open"]

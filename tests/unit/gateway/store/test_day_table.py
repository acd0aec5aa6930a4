"""The records table, as the ledger's writer makes it and `record_read` reads it. That of spans is shown by
`test_span_table`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.clock import ManualClock
from gateway.store import duck, manifest, record_rows
from gateway.store.compaction import DAY_NS
from gateway.store.day_table import TABLES, Owned
from gateway.store.ledger import KEEP_REPLACED_S, Ledger
from gateway.store.record_query import NEWEST, Query
from gateway.store.record_read import records
from gateway.store.records import Attempt, Record
from tests.support.journals import STARTED_NS, a_journal, a_record, an_attempt
from tests.support.ledgers import update

STARTED_S = STARTED_NS // 10**9


def of_tenant(row: Owned) -> str:
    return {"short": "30", "always": "keep"}.get(row.tenant, "400")


def test_each_day_and_class_has_its_folder(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for number, tenant in enumerate(("acme", "short", "always", "acme")):
        journal.add(a_record(f"req_{number}", tenant=tenant, started_ns=STARTED_NS + number // 3 * DAY_NS))
    ledger = Ledger(tmp_path, ManualClock(), class_of=of_tenant)
    ledger.add()
    assert sorted((file.partition, file.day, file.kept_days, file.rows) for file in ledger.manifest.records) == [
        ("class=30/day=2027-01-15", "2027-01-15", 30, 1),
        ("class=400/day=2027-01-15", "2027-01-15", 400, 1),
        ("class=400/day=2027-01-16", "2027-01-16", 400, 1),
        ("class=keep/day=2027-01-15", "2027-01-15", None, 1),
    ]
    for file in ledger.manifest.records:
        assert (manifest.records_folder(tmp_path) / file.name).stat().st_size == file.bytes
    ledger.close()
    journal.stop()


def test_rows_lie_by_tenant_and_time_also_after_files_were_merged(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    ledger = Ledger(tmp_path, ManualClock(wall_ns=STARTED_NS))
    for number in range(8):
        for tenant in ("b", "a"):
            journal.add(a_record(f"req_{tenant}{number}", tenant=tenant, started_ns=STARTED_NS - number))
        ledger.add()
    while ledger.merge():
        pass
    (file,) = ledger.manifest.records
    with duck.connection(tmp_path) as database:
        path = manifest.records_folder(tmp_path) / file.name
        rows = database.execute(f"SELECT id FROM read_parquet('{path}')").fetchall()
    assert [row[0] for row in rows] == [f"req_{tenant}{number}" for tenant in "ab" for number in reversed(range(8))]
    ledger.close()
    journal.stop()


def test_days_are_dropped_when_they_were_kept_long_enough(tmp_path: Path) -> None:
    clock = ManualClock(wall_ns=STARTED_NS)
    journal = a_journal(tmp_path)
    for number, tenant in enumerate(("acme", "short", "always")):
        journal.add(a_record(f"req_{number}", tenant=tenant))
    ledger = Ledger(tmp_path, clock, class_of=of_tenant)
    ledger.add()
    clock.advance(31 * 86_400)
    assert not ledger.merge(), "a clock that leapt ahead drops nothing: no request has come on that day"
    journal.add(a_record("req_today", started_ns=STARTED_NS + 31 * DAY_NS))
    ledger.add()
    (gone,) = [file for file in ledger.manifest.records if file.kept_days == 30]
    assert ledger.merge()
    assert not ledger.merge()
    assert [record.id for record in records(tmp_path, Query())] == ["req_0", "req_2", "req_today"]
    path = manifest.records_folder(tmp_path) / gone.name
    assert path.exists(), "who reads it may go on"
    clock.advance(KEEP_REPLACED_S + 1)
    ledger.settled(journal.directory.name)
    assert not path.exists()
    assert ledger.manifest.rows == 4, "the accounting stays"
    ledger.close()
    journal.stop()


def test_a_ledger_of_before_there_were_records_goes_on_with_both(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_before"))
    update(tmp_path)
    path = manifest.folder(tmp_path) / "manifest.json"
    old = msgspec.json.decode(path.read_bytes())
    del old["records"], old["records_replaced"]
    path.write_bytes(msgspec.json.encode(old | {"format": 1}))
    journal.add(a_record("req_after"))
    assert update(tmp_path) == 2
    assert [record.id for record in records(tmp_path, Query())] == ["req_after"]
    assert manifest.read(tmp_path).format == manifest.FORMAT
    journal.stop()


def test_what_is_in_the_table_comes_out_as_it_was_written(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    written = [
        a_record(
            "req_all",
            project="p",
            end_user="'; DROP TABLE x",
            conversation="a\x00b",
            traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            caller_request_id="é😀\u2028",
            rows=3,
            version="2 2",
            charge_nanos=0,
            cached_input_tokens=0,
            first_byte_ms=0.1,
            readings=[("tenant:acme|tokens", 5, 10), ("x", -1, 2**62)],
            verdicts="input:pii:EMAIL_ADDRESS:mask:1.00:2",
            held_nanos=7,
            usage_from="backend",
            action="clamped:5",
            stream=True,
        ),
        Record(id="req_bare", started_ns=STARTED_NS + 1),
        Record(id="req_never", started_ns=-5),
        a_record("req_huge", started_ns=STARTED_NS + 2, charge_nanos=2**64 - 1, body_bytes=-(2**63)),
        a_record("req_tried", attempts=[an_attempt(code="timeout"), an_attempt("http://b", reason="retry"), Attempt()]),
    ]
    for record in written:
        journal.add(record)
    update(tmp_path)
    written[3].charge_nanos = 2**63 - 1  # no price is so large: it must only not stop the rest
    journal.add(a_record("req_odd", tenant="odd", attempts=[Attempt(loads=[2**64 - 1, 1])]))
    update(tmp_path)
    assert len(list(records(tmp_path, Query(tenant="odd")))) == 1, "nor may a load"
    found = list(records(tmp_path, Query(tenant="acme"))) + list(records(tmp_path, Query(tenant="")))
    assert sorted(found, key=lambda record: record.id) == sorted(written, key=lambda record: record.id)
    journal.stop()


def test_every_filter_means_the_same_in_the_table_as_on_a_record(tmp_path: Path) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    journal = a_journal(tmp_path)
    whole = [
        a_record("req_1", verdicts="output:words:secret:block:0.90:1", charge_nanos=5, status=403, code="blocked"),
        a_record("req_2", traceparent=f"00-{trace}-b7ad6b7169203331-01", project="support", conversation="c"),
        a_record("req_3", started_ns=STARTED_NS + DAY_NS, tenant="it's", key="k", alias="large", backend="gpu-b"),
        a_record("req_4", started_ns=STARTED_NS + 1, total_ms=90.5, end_user="u", outcome="failed"),
    ]
    for record in whole:
        journal.add(record)
    update(tmp_path)
    for query in (
        Query(),
        Query(verdict="block"),
        Query(verdict="words:secret"),
        Query(verdict="loc"),
        Query(min_charge_nanos=0),
        Query(min_charge_nanos=5),
        Query(status=403),
        Query(code="ok"),
        Query(trace=trace),
        Query(project="support"),
        Query(conversation="c"),
        Query(tenant="it's"),
        Query(key="k"),
        Query(model="large"),
        Query(backend="gpu-b"),
        Query(min_total_ms=90.5),
        Query(end_user="u"),
        Query(outcome="failed"),
        Query(since_ns=STARTED_NS + 1),
        Query(until_ns=STARTED_NS + 1),
        Query(since_ns=STARTED_NS + 1, until_ns=STARTED_NS + 2),
        Query(ids=("req_1", "req_3", "req_9")),
        Query(tenants=("acme", "other")),
        Query(before=(STARTED_NS, "req_2")),
        Query(before=(STARTED_NS + DAY_NS, "req_1")),
    ):
        wanted = sorted(record.id for record in whole if query.holds(record))
        assert sorted(record.id for record in records(tmp_path, query)) == wanted, query
    journal.stop()


def test_the_table_and_the_journals_are_read_as_one(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    for number in range(6):
        if number == 3:
            update(tmp_path)
        started_ns = STARTED_NS + (number * 5 % 6) * DAY_NS
        journal.add(a_record(f"req_{number * 5 % 6}", started_ns=started_ns))
    oldest = [f"req_{number}" for number in range(6)]
    assert [record.id for record in records(tmp_path, Query())] == oldest
    assert [record.id for record in records(tmp_path, Query(order=NEWEST))] == oldest[::-1]
    for limit in range(1, 7):
        assert [record.id for record in records(tmp_path, Query(limit=limit))] == oldest[:limit]
        assert len(list(records(tmp_path, Query(limit=limit, order="any")))) == limit
    journal.stop()


def test_an_id_says_on_which_day_to_look(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    one = f"req_{STARTED_NS // 10**6:012x}{7:018x}"
    journal.add(a_record(one))
    journal.add(a_record("req_other", started_ns=STARTED_NS + 9 * DAY_NS))
    update(tmp_path)
    (far,) = (manifest.records_folder(tmp_path) / "class=400" / "day=2027-01-24").iterdir()
    far.write_bytes(b"no Parquet")
    assert [record.id for record in records(tmp_path, Query(ids=(one,)))] == [one]
    with pytest.raises(manifest.LedgerUnreadable, match="records of 2027-01-24"):
        list(records(tmp_path, Query(ids=("req_other",))))
    journal.stop()


def test_a_file_of_a_later_version_is_refused_with_the_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record())
    monkeypatch.setattr(record_rows, "OPTIONS", record_rows.OPTIONS.replace(f"'{record_rows.SCHEMA}'", "'99'"))
    update(tmp_path)
    with pytest.raises(record_rows.SchemaTooNew, match=r"\.parquet is of version 99 .* reads \d+: use the"):
        list(records(tmp_path, Query()))
    journal.stop()


def test_a_file_of_an_older_version_reads_with_defaults(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record(verdicts="a:b:c:d:1:1"))
    update(tmp_path)
    (file,) = manifest.read(tmp_path).records
    path = manifest.records_folder(tmp_path) / file.name
    with duck.connection(tmp_path) as database:
        fewer = f"SELECT * EXCLUDE (verdicts, rows) FROM (SELECT *, 1 AS rows FROM '{path}')"
        database.execute(f"COPY ({fewer}) TO '{path}2' (FORMAT parquet)")
    path.with_suffix(".parquet2").replace(path)
    assert list(records(tmp_path, Query())) == [a_record()]
    journal.stop()


def test_each_table_has_its_lists_in_the_manifest() -> None:
    fields = {field.name for field in msgspec.structs.fields(manifest.Manifest)}
    assert {name for table in TABLES for name in (table, f"{table}_replaced")} <= fields

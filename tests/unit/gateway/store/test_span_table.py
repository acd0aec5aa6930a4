"""The table of agents' spans, as the ledger's writer makes it."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from gateway.clock import ManualClock
from gateway.store import duck, manifest, span_rows, span_spool, span_table
from gateway.store.compaction import DAY_NS
from gateway.store.ledger import KEEP_REPLACED_S, Ledger
from gateway.store.record_rows import SchemaTooNew
from gateway.store.span_spool import Spool
from gateway.store.trace_read import read
from gateway.telemetry.agent_spans import AgentSpan
from tests.support.agent_spans import SENDER, TRACE, a_span, as_json, kept
from tests.support.journals import STARTED_NS


class Site:
    """What a worker took, and a ledger's writer."""

    def __init__(self, state_dir: Path, *, moves: bool = False) -> None:
        self.state_dir = state_dir
        self.clock = ManualClock(wall_ns=STARTED_NS)
        self.spool = Spool(state_dir, 0)
        self.count = 0
        self.ledger = Ledger(
            state_dir, self.clock, class_of=lambda row: "30" if row.tenant == "short" else "400", moves=moves
        )

    def took(self, *spans: str, tenant: str = "acme", day: int = 0) -> None:
        self.count += 1
        sender = msgspec.structs.replace(
            SENDER, tenant=tenant, request=f"req_{self.count:030x}", received_ns=STARTED_NS + day * DAY_NS
        )
        start = day * 86_400_000
        self.spool.keep(sender, "json", as_json([a_span(span, start=start, end=start + 1) for span in spans]))

    def rows(self) -> list[AgentSpan]:
        files = [str(manifest.spans_folder(self.state_dir) / file.name) for file in self.ledger.manifest.spans]
        with duck.connection(self.state_dir) as database:
            source = span_rows.from_parquet(files)
            found = database.execute(f"SELECT {span_rows.as_stored()} FROM ({source}) {span_rows.SORTED}").fetchall()
        return [span_rows.span_of(row) for row in found]


def test_rows_come_out_as_they_went_in(tmp_path: Path) -> None:
    site = Site(tmp_path)
    attributes = {"gen_ai.usage.input_tokens": 5, "llm.cost.total": 0.5, "tries": 2, "gen_ai.tool.name": "wéather"}
    spans = [a_span("b7ad6b7169203331", attributes=attributes, error=True), a_span("00f067aa0ba902b7", start=1)]
    site.spool.keep(SENDER, "json", as_json(spans))
    assert site.ledger.add_spans()
    assert not site.ledger.add_spans()
    assert site.rows() == kept(spans)
    assert span_spool.waiting(tmp_path) == []
    site.ledger.close()


def test_each_day_and_class_has_its_folder_and_a_clock_that_is_wrong_makes_no_days(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.took("a" * 16)
    site.took("b" * 16, tenant="short")
    site.took("c" * 16, day=1)
    site.spool.keep(SENDER, "json", as_json([a_span("d" * 16) | {"startTimeUnixNano": "5", "endTimeUnixNano": "6"}]))
    site.ledger.add_spans()
    assert sorted((file.partition, file.rows) for file in site.ledger.manifest.spans) == [
        ("class=30/day=2027-01-15", 1),
        ("class=400/day=2027-01-15", 2),
        ("class=400/day=2027-01-16", 1),
    ]
    site.ledger.close()


def test_a_writer_killed_after_it_published_adds_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path)
    site.took("a" * 16)
    monkeypatch.setattr(span_table.SpanTable, "drop_taken", lambda *_: None)
    site.ledger.add_spans()
    site.ledger.close()
    monkeypatch.undo()
    assert len(span_spool.waiting(tmp_path)) == 1
    assert [len(trace.agent) for trace in read(tmp_path, TRACE)] == [1]
    site.ledger = Ledger(tmp_path, site.clock)
    assert not site.ledger.add_spans()
    assert (len(site.rows()), span_spool.waiting(tmp_path)) == (1, [])
    site.took("b" * 16)
    site.ledger.add_spans()
    assert sorted(row.span for row in site.rows()) == ["a" * 16, "b" * 16]
    site.ledger.close()


def test_a_writer_killed_before_it_published_adds_all_of_it_later(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.took("a" * 16)
    site.ledger._spans.added(site.ledger.manifest)  # its files are written, and that is all
    site.ledger.close()
    site.ledger = Ledger(tmp_path, site.clock)
    assert list(manifest.spans_folder(tmp_path).rglob("*.parquet")) == []
    site.ledger.add_spans()
    assert [row.span for row in site.rows()] == ["a" * 16]
    site.ledger.close()


def test_a_pass_takes_so_many_and_leaves_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_table, "PASS_SPANS", 2)
    site = Site(tmp_path)
    for letter in "abc":
        site.took(letter * 15 + "1", letter * 15 + "2")
    counts = []
    while site.ledger.add_spans():
        counts.append(sum(file.rows for file in site.ledger.manifest.spans))
    assert counts == [2, 4, 6]
    site.ledger.close()


def test_what_nobody_can_read_is_dropped_and_counted(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.spool.keep(SENDER, "json", b"{")
    (span_spool.folder(tmp_path) / "0-other.otlp").write_bytes(b"not ours")
    site.took("a" * 16)
    assert site.ledger.add_spans()
    assert (site.ledger.spans_unreadable, len(site.rows()), span_spool.waiting(tmp_path)) == (2, 1, [])
    site.ledger.close()


def test_small_files_become_one_by_tenant_and_trace(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for number in range(8):
        site.took(f"{9 - number}" * 16, tenant="b" if number % 2 else "a")
        site.ledger.add_spans()
    assert len(site.ledger.manifest.spans) == 8
    while site.ledger.merge():
        pass
    (file,) = site.ledger.manifest.spans
    path = manifest.spans_folder(tmp_path) / file.name
    with duck.connection(tmp_path) as database:
        rows = database.execute(f"SELECT tenant, span[1] FROM read_parquet('{path}')").fetchall()
    assert rows == [(tenant, digit) for tenant, digits in (("a", "3579"), ("b", "2468")) for digit in digits]
    assert len(list(manifest.spans_folder(tmp_path).rglob("*.parquet"))) == 9
    site.clock.advance(KEEP_REPLACED_S + 1)
    site.took("a" * 16)
    site.ledger.add_spans()
    assert len(list(manifest.spans_folder(tmp_path).rglob("*.parquet"))) == 2
    site.ledger.close()


def test_a_span_that_was_sent_again_is_stored_once_when_files_become_one(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.took("a" * 16, "a" * 16)  # within one request too
    for number in range(8):  # what an agent does that hears nothing; the last with one more
        site.took("b" * 16, *("c" * 16 for _ in range(number // 7)), tenant="b" if number == 3 else "a", day=0)
        site.ledger.add_spans()
    while site.ledger.merge():
        pass
    (file,) = site.ledger.manifest.spans
    assert [(row.tenant, row.span[0], row.request[-1]) for row in site.rows()] == [
        ("a", "b", "2"),
        ("a", "c", "9"),
        ("acme", "a", "1"),
        ("b", "b", "5"),
    ]
    assert file.rows == 4
    site.ledger.close()


def test_days_that_were_kept_long_enough_are_dropped_whole(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.took("a" * 16, tenant="short")
    site.took("b" * 16)
    site.ledger.add_spans()
    site.clock.advance(31 * 86_400)
    site.took("c" * 16, day=31)
    site.ledger.add_spans()
    while site.ledger.merge():
        pass
    assert [row.span[0] for row in site.rows()] == ["b", "c"]
    site.ledger.close()


def test_a_file_of_a_later_version_is_refused_with_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(span_rows, "OPTIONS", span_rows.OPTIONS.replace(f"'{span_rows.SCHEMA}'", "'99'"))
    site = Site(tmp_path)
    site.took("a" * 16)
    site.ledger.add_spans()
    site.ledger.close()
    with pytest.raises(SchemaTooNew, match="version 99 of the spans' schema"):
        read(tmp_path, TRACE)


def test_a_disk_that_takes_nothing_loses_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.took("a" * 16)
    folder = manifest.spans_folder(tmp_path)
    os.rmdir(folder)
    folder.write_bytes(b"in the way")
    with pytest.raises(OSError, match="spans"):
        site.ledger.add_spans()
    site.ledger.close()
    folder.unlink()
    site.ledger = Ledger(tmp_path, site.clock)
    site.ledger.add_spans()
    assert [row.span for row in site.rows()] == ["a" * 16]
    site.ledger.close()

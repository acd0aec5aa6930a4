from __future__ import annotations

import json
from pathlib import Path

from gateway.clock import ManualClock, SystemClock
from gateway.config.model_meters import RecordStore
from gateway.runtime.record_moving import Moving, class_of
from gateway.store import manifest, trace_read
from gateway.store.day_table import MOVES_S
from gateway.store.ledger import KEEP_REPLACED_S, Ledger
from gateway.store.record_query import Query
from gateway.store.record_read import records
from gateway.store.span_spool import Spool
from gateway.telemetry.logs import Log
from tests.support.agent_spans import SENDER, TRACE, a_span, as_json
from tests.support.journals import STARTED_NS, a_journal, a_record


class Site:
    """A ledger whose records go to another folder, and what was logged."""

    def __init__(self, tmp_path: Path) -> None:
        self.state_dir, self.lake = tmp_path / "state", tmp_path / "lake"
        self.clock = ManualClock(wall_ns=STARTED_NS)
        self.journal = a_journal(self.state_dir)
        self.ledger = Ledger(self.state_dir, self.clock, moves=True)
        self.lines: list[bytes] = []
        self.moving = Moving(self.state_dir, str(self.lake), Log(SystemClock(), "info", self.lines.append))

    def passes(self) -> None:
        """What the keeper does, twice: the second one notes what the first one began."""
        for _ in range(2):
            self.moving.note(self.ledger)
            self.ledger.add()
            while self.ledger.merge():
                pass
            self.moving.go_on(self.ledger)
            self.moving.join()

    def ids(self) -> list[str]:
        return [record.id for record in records(self.state_dir, Query())]

    def there(self) -> list[str]:
        return sorted(str(path.relative_to(self.lake)) for path in self.lake.rglob("*.parquet"))

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.lines]

    def close(self) -> None:
        self.ledger.close()
        self.journal.stop()


def test_files_are_brought_within_the_hour_as_one_and_read_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for number in range(3):
        site.journal.add(a_record(f"req_{number}", started_ns=STARTED_NS + number))
        site.passes()
    assert site.there() == []
    site.clock.advance(MOVES_S)
    site.passes()
    (file,) = site.ledger.manifest.records
    assert (file.at, [file.name], file.rows) == (str(site.lake), site.there(), 3)
    assert site.ids() == ["req_0", "req_1", "req_2"]
    site.clock.advance(KEEP_REPLACED_S + 1)
    site.journal.add(a_record("req_3", started_ns=STARTED_NS + 3))
    site.passes()
    assert not (manifest.records_folder(site.state_dir) / file.name).exists()
    assert site.ids() == ["req_0", "req_1", "req_2", "req_3"], "one there, one here"
    site.close()


def test_agents_spans_are_brought_to_a_folder_of_their_own_and_read_there(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.moving = Moving(site.state_dir, str(site.lake), Log(SystemClock(), "info", site.lines.append), "spans")
    Spool(site.state_dir, 0).keep(SENDER, "json", as_json([a_span("a" * 16)]))
    site.ledger.add_spans()
    site.clock.advance(MOVES_S)
    site.passes()
    (there,) = site.there()
    assert there.startswith("spans/class=400/day=2027-01-15/")
    for path in manifest.spans_folder(site.state_dir).rglob("*.parquet"):
        path.unlink()
    assert [len(found.agent) for found in trace_read.read(site.state_dir, TRACE)] == [1]
    site.close()


def test_while_the_store_is_away_nothing_is_lost_and_it_is_told_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.lake.write_text("a file where a folder is to be")
    site.journal.add(a_record("req_1"))
    site.passes()
    site.clock.advance(MOVES_S)
    site.passes()
    site.passes()
    assert len(site.ledger.leaving()[0]) == 1
    assert site.ids() == ["req_1"]
    assert site.events() == ["records_store_failed"]
    site.lake.unlink()
    site.passes()
    assert len(site.there()) == 1
    assert site.ids() == ["req_1"]
    assert site.events() == ["records_store_failed", "records_store_goes_on"]
    site.close()


def test_a_file_that_was_merged_while_it_was_brought_is_removed_there_again(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.journal.add(a_record("req_1"))
    site.passes()
    site.clock.advance(MOVES_S)
    site.moving.go_on(site.ledger)
    site.moving.join()
    site.journal.add(a_record("req_2"))
    site.ledger.add()
    while site.ledger.merge():
        pass
    site.passes()
    assert site.ids() == ["req_1", "req_2"]
    assert len(site.there()) == 2
    site.clock.advance(KEEP_REPLACED_S + 1)
    site.passes()
    assert site.there() == [file.name for file in site.ledger.manifest.records]
    assert site.ids() == ["req_1", "req_2"]
    site.close()


def test_files_that_are_being_brought_are_not_made_one_with_those_that_come_meanwhile(tmp_path: Path) -> None:
    site = Site(tmp_path)
    for number in range(2):
        site.journal.add(a_record(f"req_{number}", started_ns=STARTED_NS + number))
        site.ledger.add()
    site.clock.advance(MOVES_S)
    assert site.ledger.merge()
    leaving = site.ledger.manifest.records
    site.moving.go_on(site.ledger)
    assert site.moving.busy == leaving, "as long as nobody has noted that it is there"
    site.journal.add(a_record("req_2", started_ns=STARTED_NS + 2))
    site.ledger.add()
    assert not site.ledger.merge(site.moving.busy)
    site.moving.join()
    site.moving.note(site.ledger)
    assert site.moving.busy == []
    assert sorted((bool(file.at), file.rows) for file in site.ledger.manifest.records) == [(False, 1), (True, 2)]
    site.close()


def test_days_that_were_kept_long_enough_go_there_too(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.journal.add(a_record("req_old"))
    site.passes()
    site.clock.advance(401 * 86_400)
    site.passes()
    assert len(site.there()) == 1
    site.journal.add(a_record("req_new", started_ns=site.clock.wall_ns()))
    site.passes()
    assert site.ids() == ["req_new"]
    site.clock.advance(KEEP_REPLACED_S + 1)
    site.passes()
    assert site.there() == []
    site.close()


def test_nothing_is_brought_where_no_place_is_named(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.moving = Moving(site.state_dir, "", Log(SystemClock(), "info", site.lines.append))
    site.journal.add(a_record())
    site.passes()
    site.clock.advance(MOVES_S)
    site.passes()
    assert [file.at for file in site.ledger.manifest.records] == [""]
    site.close()


def test_a_tenants_records_are_kept_as_long_as_is_said_of_it() -> None:
    kept = class_of(RecordStore(retention_days=90, tenant_days={"acme": 30, "bank": 0}))
    assert [kept(a_record(tenant=name)) for name in ("acme", "bank", "other", "")] == ["30", "keep", "90", "90"]
    assert class_of(RecordStore(retention_days=0))(a_record()) == "keep"

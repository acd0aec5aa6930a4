from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.clock import ManualClock
from gateway.store import record_spans, trace_read
from gateway.store.ledger import Ledger
from gateway.store.span_spool import Spool
from gateway.store.trace_read import Asked, newest, read
from tests.support import otlp
from tests.support.agent_spans import SENDER, TRACE, a_span, as_json, as_protobuf
from tests.support.journals import STARTED_NS, a_journal, a_record

OTHER = "1" * 32
OWN = "req_019b0a1c2d3e5f3a9c1e7700000007"


class Site:
    """A state directory with what agents sent and what was asked."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self.spool = Spool(state_dir, 0)
        self.journal = a_journal(state_dir)
        self.count = 0

    def told(self, *spans: str, tenant: str = "acme", trace: str = TRACE, start: int = 0, error: bool = False) -> None:
        self.count += 1
        sender = msgspec.structs.replace(SENDER, tenant=tenant, request=f"req_{self.count:030x}")
        given = [a_span(span, trace=trace, start=start, end=start + 5, error=error) for span in spans]
        self.spool.keep(sender, "json", as_json(given))

    def asked(self, request_id: str, trace: str = TRACE, tenant: str = "acme", start: int = 0, **more: object) -> None:
        parent = f"00-{trace}-{'b' * 16}-01" if trace else ""
        started_ns = STARTED_NS + start * 1_000_000
        given = {"traceparent": parent, "tenant": tenant, "started_ns": started_ns, **more}
        self.journal.add(a_record(request_id, **given))

    def store(self) -> None:
        ledger = Ledger(self.state_dir, ManualClock(wall_ns=STARTED_NS))
        while ledger.add() or ledger.add_spans():
            pass
        ledger.close()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("stored", [False, True])
def test_a_trace_is_an_agents_spans_and_the_requests_made_in_it(site: Site, stored: bool) -> None:
    site.told("a" * 16, "b" * 16)
    site.told("c" * 16, trace=OTHER)
    site.asked("req_1")
    site.asked("req_2", OTHER)
    site.asked("req_3", endpoint="traces")
    site.asked("req_4", tenant="")
    if stored:
        site.store()
    (found,) = read(site.state_dir, TRACE)
    assert [span.span[0] for span in found.agent] == ["a", "b"]
    assert [record.id for record in found.records] == ["req_1"]
    assert (found.tenant, found.cut) == ("acme", False)
    site.journal.stop()


def test_what_is_stored_and_what_waits_are_one_trace_and_a_span_sent_again_is_one(site: Site) -> None:
    site.told("a" * 16)
    site.store()
    site.told("a" * 16, "b" * 16)
    (found,) = read(site.state_dir, TRACE)
    assert [span.span[0] for span in found.agent] == ["a", "b"]
    (line,) = newest(site.state_dir, Asked())
    assert line.agent_spans == 2
    site.journal.stop()


def test_spans_in_protobuf_are_found_before_they_are_stored(site: Site) -> None:
    otlp.require()
    site.spool.keep(SENDER, "protobuf", as_protobuf([a_span("a" * 16)]))
    assert [len(found.agent) for found in read(site.state_dir, TRACE)] == [1]
    site.journal.stop()


def test_a_request_without_a_trace_of_its_callers_has_one_of_its_own(site: Site) -> None:
    site.asked(OWN, trace="")
    (line,) = newest(site.state_dir, Asked())
    assert line.trace == record_spans.trace_of(a_record(OWN, traceparent=""))
    (found,) = read(site.state_dir, line.trace)
    assert [record.id for record in found.records] == [OWN]
    site.journal.stop()


@pytest.mark.parametrize("stored", [False, True])
def test_tenants_that_use_one_id_have_a_trace_each(site: Site, stored: bool) -> None:
    site.told("a" * 16)
    site.told("a" * 16, "b" * 16, tenant="bank")
    site.asked("req_1", tenant="bank")
    if stored:
        site.store()
    everyone = read(site.state_dir, TRACE)
    assert [(one.tenant, len(one.agent), len(one.records)) for one in everyone] == [("acme", 1, 0), ("bank", 2, 1)]
    assert [one.tenant for one in read(site.state_dir, TRACE, Asked(tenant="bank"))] == ["bank"]
    assert [one.tenant for one in read(site.state_dir, TRACE, Asked(tenants=("acme", "shop")))] == ["acme"]
    assert read(site.state_dir, TRACE, Asked(tenants=("shop",))) == []
    assert [
        (line.tenant, line.agent_spans, line.requests) for line in newest(site.state_dir, Asked(tenants=("acme",)))
    ] == [("acme", 1, 0)]
    site.journal.stop()


@pytest.mark.parametrize("stored", [False, True])
def test_a_list_has_the_newest_first_each_with_what_it_cost(site: Site, stored: bool) -> None:
    site.told("a" * 16, "b" * 16, trace=OTHER, start=100, error=True)
    for number in range(3):
        site.asked(f"req_{number}", start=number, input_tokens=5, output_tokens=2, charge_nanos=7)
    site.asked("req_8", "2" * 32, start=50, status=502, outcome="failed", code="upstream_failed")
    if stored:
        site.store()
    lines = newest(site.state_dir, Asked())
    assert [(line.trace[0], line.agent_spans, line.requests, line.errors) for line in lines] == [
        ("1", 2, 0, 2),
        ("2", 0, 1, 1),
        ("0", 0, 3, 0),
    ]
    assert (lines[2].input_tokens, lines[2].output_tokens, lines[2].charge_nanos) == (15, 6, 21)
    assert (lines[2].started_ns, lines[0].service) == (STARTED_NS, "trip")
    assert [line.trace[0] for line in newest(site.state_dir, Asked(limit=2))] == ["1", "2"]
    since, until = STARTED_NS + 10_000_000, STARTED_NS + 90_000_000
    assert [line.trace[0] for line in newest(site.state_dir, Asked(since, until))] == ["2"]
    site.journal.stop()


def test_a_list_has_traces_of_clocks_that_are_wrong(site: Site) -> None:
    site.spool.keep(SENDER, "json", as_json([a_span("a" * 16) | {"startTimeUnixNano": "5", "endTimeUnixNano": "9"}]))
    (line,) = newest(site.state_dir, Asked(since_ns=STARTED_NS - 1, until_ns=STARTED_NS + 1))
    assert (line.started_ns, line.ended_ns) == (STARTED_NS, STARTED_NS + 4)
    site.journal.stop()


def test_of_a_giant_trace_so_many_are_read_and_that_is_told(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_read, "MOST_SPANS", 3)
    site.told(*(f"{number:016x}" for number in range(1, 6)))
    (found,) = read(site.state_dir, TRACE)
    assert (len(found.agent), found.cut) == (3, True)
    site.journal.stop()


def test_where_nothing_is_nothing_is_found(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    assert (read(tmp_path, TRACE), newest(tmp_path, Asked())) == ([], [])

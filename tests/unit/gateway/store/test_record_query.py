from __future__ import annotations

import pytest

from gateway.store.record_query import Query
from tests.support.journals import STARTED_NS, a_record

TRACE = "0af7651916cd43dd8448eb211c80319c"
RECORD = a_record(
    project="support",
    traceparent=f"00-{TRACE}-b7ad6b7169203331-01",
    conversation="conv",
    end_user="u-7",
    charge_nanos=500,
    verdicts="input:pii:EMAIL_ADDRESS:mask:1.00:2 output:words:secret:block:0.90:1",
)


def test_a_query_for_nothing_in_particular_holds_for_every_record() -> None:
    assert Query().holds(RECORD)
    assert Query().same == ()


@pytest.mark.parametrize(
    ("fits", "does_not"),
    [
        (Query(tenant="acme"), Query(tenant="other")),
        (Query(tenant="acme", key="app"), Query(tenant="acme", key="other")),
        (Query(project="support"), Query(project="")),
        (Query(model="small"), Query(model="large")),
        (Query(backend="gpu-a"), Query(backend="gpu-b")),
        (Query(conversation="conv"), Query(conversation="con")),
        (Query(end_user="u-7"), Query(end_user="u-8")),
        (Query(outcome="answered"), Query(outcome="failed")),
        (Query(code="ok"), Query(code="crashed")),
        (Query(status=200), Query(status=0)),
        (Query(trace=TRACE), Query(trace=TRACE[:-1])),
        (Query(traces=("0", TRACE)), Query(traces=("0",))),
        (Query(min_charge_nanos=500), Query(min_charge_nanos=501)),
        (Query(min_total_ms=80.0), Query(min_total_ms=80.5)),
        (Query(ids=("req_0", "req_1")), Query(ids=("req_0",))),
        (Query(since_ns=STARTED_NS), Query(since_ns=STARTED_NS + 1)),
        (Query(until_ns=STARTED_NS + 1), Query(until_ns=STARTED_NS)),
    ],
)
def test_every_filter_lets_through_what_fits_and_nothing_else(fits: Query, does_not: Query) -> None:
    assert fits.holds(RECORD)
    assert not does_not.holds(RECORD)


@pytest.mark.parametrize("verdict", ["block", "input", "pii", "secret", "output:words", "pii:EMAIL_ADDRESS:mask"])
def test_a_verdict_is_found_by_its_parts(verdict: str) -> None:
    assert Query(verdict=verdict).holds(RECORD)


@pytest.mark.parametrize("verdict", ["bloc", "lock", "1.00", "2", "input:words", "mask:output", ".*"])
def test_a_piece_of_a_part_is_no_verdict(verdict: str) -> None:
    assert not Query(verdict=verdict).holds(RECORD)


def test_what_is_not_charged_is_as_dear_as_nothing() -> None:
    assert Query(min_charge_nanos=0).holds(a_record(charge_nanos=None))
    assert not Query(min_charge_nanos=1).holds(a_record(charge_nanos=None))

"""The account of a run of the chaos suite in which everything held: for tests that break it."""

from __future__ import annotations

from typing import Any

from gateway.backends.fake_produced import Production
from gateway.store.records import Attempt, Record
from tests.chaos.agents import Batch
from tests.chaos.evidence import Evidence, Holding
from tests.chaos.load import Call
from tests.chaos.plan import Cap
from tests.chaos.tables import Tables

NOON_NS = 1_800_000_000 * 10**9
BUDGET = "tenant:acme|usd|lifetime|"
SLOTS = "tenant:acme|concurrent||"
RATE = "key:acme/app|requests|10s|"
CAPS = (
    Cap("tenant", "acme", "usd", 1_000, "lifetime"),
    Cap("tenant", "acme", "concurrent", 2, ""),
    Cap("key", "acme/app", "requests", 3, "10s"),
)


def record(request_id: str, started_s: float, **columns: Any) -> Record:
    """An answered request that took 100 input and 20 output tokens for 300 nano-dollars."""
    made = Record(
        id=request_id,
        started_ns=NOON_NS + round(started_s * 1e9),
        tenant="acme",
        key="app",
        alias="chat",
        attempts=[Attempt()],
        input_tokens=100,
        cached_input_tokens=0,
        output_tokens=20,
        reasoning_tokens=0,
        outcome="answered",
        status=200,
        total_ms=500.0,
        charge_nanos=300,
        held_input=150,
        held_output=64,
        held_nanos=600,
        usage_from="backend",
    )
    for name, value in columns.items():
        setattr(made, name, value)
    return made


def call(request_id: str, **fields: Any) -> Call:
    made = Call("acme", 0, "u", "chat", True, None, "quick", 0.0, id=request_id, status=200, delivered=20)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def records() -> list[Record]:
    """Three that were answered, one of them cut, and a refusal."""
    return [
        record("a", 0),
        record("b", 1, outcome="cancelled"),
        record("c", 11, action="cut", waste_tokens=5, usage_from="running"),
        record(
            "d",
            12,
            outcome="refused",
            attempts=[],
            usage_from="",
            held_nanos=900,
            charge_nanos=None,
            output_tokens=None,
        ),
    ]


def honest() -> Evidence:
    """Three requests, the third cut by the gateway, one bucket of each kind."""
    return Evidence(
        caps=CAPS,
        records=records(),
        calls=[call("a"), call("b", delivered=7, ended="left"), call("c"), call("d", status=429, delivered=0)],
        produced={
            "a": [Production(100, 20, 20, "answered", 0.0, 0.5)],
            "b": [Production(100, 20, 90, "left", 0.2, 0.6)],
            "c": [Production(100, 25, 90, "left", 0.5, 0.9)],
        },
        history=[
            Holding(BUDGET, 0, 1_000),
            Holding(BUDGET, 300, 600),
            Holding(SLOTS, 0, 2),
            Holding(RATE, 2, 1),
            Holding(BUDGET, 900, 0),
            Holding(SLOTS, 0, 0),
            Holding(RATE, 2, 0),
        ],
        final={
            BUDGET: Holding(BUDGET, 900, 0),
            SLOTS: Holding(SLOTS, 0, 0),
            RATE: Holding(RATE, 2, 0),
        },
        spent_out={BUDGET: 101},
        tables=tables(),
    )


def tables() -> Tables:
    """What the keeper wrote of it; of two spans that were taken one was sent twice, a third may have come."""
    spans = {("acme", "1"): 2, ("acme", "2"): 1}
    return Tables(
        ledger={"a": (1, 300), "b": (1, 300), "c": (1, 300), "d": (1, 0)},
        records=records(),
        spans=spans,
        told=dict.fromkeys(spans, 1),
        batches=[Batch("acme", ("1",), 2, True), Batch("acme", ("2",), 1, True), Batch("acme", ("3",), 4, False)],
    )


def of(seen: Evidence, request_id: str) -> Record:
    return next(each for each in seen.records if each.id == request_id)

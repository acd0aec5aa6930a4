from __future__ import annotations

import asyncio
from typing import Any

from gateway.policy.authority import BucketState, Lease, encode
from gateway.store.drift import Drift
from gateway.store.journal_follow import Position
from gateway.store.meters_memory import MemoryMeters, MeterMemory
from gateway.store.records import Record
from tests.support.journals import a_record

BEGIN = Position(1, 32)


def charged(nanos: int | None, tenant: str = "acme", **more: Any) -> Record:
    return a_record(tenant=tenant, charge_nanos=nanos, usage_from="backend", **more)


class Checked:
    """A drift check over a store, and one journal `0-1` of it."""

    def __init__(self) -> None:
        self.memory = MeterMemory()
        self.store = MemoryMeters(self.memory)
        self.drift = Drift(lambda record: [f"tenant:{record.tenant}|usd|lifetime|"])

    def read(self, begin: Position, *records: tuple[int, Record], journal: str = "0-1") -> None:
        end = Position(begin.segment, records[-1][0] if records else begin.offset)
        self.drift.seen(journal, begin, end, records)

    def told(self, spent: int, segment: int, offset: int, tenant: str = "acme", owner: str = "s:0-1") -> int:
        state = BucketState(spent, {}, {owner: Lease(10**9, spent, 0, segment, offset)})
        self.memory.states[f"tenant:{tenant}|usd|lifetime|"] = encode(state)
        asyncio.run(self.drift.ask(self.store))
        self.drift.compare("s")
        return self.drift.nanos


def test_what_is_told_must_be_what_the_records_up_to_there_say() -> None:
    each = Checked()
    each.read(BEGIN, (100, charged(5)), (200, charged(7)), (300, charged(11)))
    assert each.told(12, 1, 200) == 0
    assert each.told(12, 1, 250) == 0, "the place may be behind other entries"
    assert each.told(23, 1, 300) == 0
    each.read(Position(2, 32), (100, charged(1)))
    assert each.told(23, 1, 300) == 0
    assert each.told(24, 2, 100) == 0
    assert each.drift.checked == 5


def test_a_difference_is_told_until_it_is_none_and_for_good_when_its_worker_is_gone() -> None:
    each = Checked()
    each.read(BEGIN, (100, charged(5)), (200, charged(7)), (300, charged(9)))
    assert each.told(6, 1, 100) == 1
    assert each.drift.wrong == {("0-1", "tenant:acme|usd|lifetime|"): 1}
    assert each.told(12, 1, 200) == 0
    assert each.told(18, 1, 300) == 3, "told too little"
    each.drift.over("0-1")
    assert each.drift.nanos == 3
    each.drift.over("0-1")
    assert each.drift.nanos == 3


def test_what_was_told_of_records_that_are_not_read_yet_waits() -> None:
    each = Checked()
    each.read(BEGIN, (100, charged(5)))
    assert each.told(12, 1, 200) == 0
    assert each.drift.checked == 0
    each.read(Position(1, 100), (200, charged(7)))
    assert each.told(12, 1, 200) == 0
    assert each.drift.checked == 1


def test_who_takes_over_in_the_middle_checks_what_comes_after() -> None:
    each = Checked()
    each.read(Position(3, 500), (600, charged(5)), (700, charged(7)))
    assert each.told(1_000, 3, 400) == 0
    assert each.drift.checked == 0, "of what was charged in between nothing is known here"
    assert each.told(1_005, 3, 600) == 0
    assert each.told(1_013, 3, 700) == 1


def test_workers_buckets_and_what_costs_nothing_are_kept_apart() -> None:
    each = Checked()
    each.read(BEGIN, (100, charged(5)), (200, charged(None)), (300, charged(0)), (400, charged(2, "umbrella")))
    each.read(BEGIN, (100, charged(50)), journal="1-1")
    assert each.told(2, 1, 400, "umbrella") == 0
    assert each.told(5, 1, 400) == 0
    assert each.told(50, 1, 100, owner="s:1-1") == 0
    assert each.drift.checked == 3
    assert each.told(50, 1, 100, owner="elsewhere:1-1") == 0


def test_a_bucket_that_cannot_be_read_is_not_compared() -> None:
    each = Checked()
    each.read(BEGIN, (100, charged(5)))
    each.memory.states["tenant:acme|usd|lifetime|"] = b"\xc1"
    asyncio.run(each.drift.ask(each.store))
    each.drift.compare("s")
    assert (each.drift.checked, each.drift.nanos) == (0, 0)

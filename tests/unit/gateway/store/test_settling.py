from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import ManualClock
from gateway.config.snapshot_meters import CONCURRENT, INPUT, MONEY, OUTPUT, REQUESTS, Meter
from gateway.policy.authority import BucketState, Lease, Report, decode, encode, exchange_stored
from gateway.policy.meters import Row, models_of
from gateway.store import settling
from gateway.store.journal import Journal
from gateway.store.journal_follow import BEGIN
from gateway.store.meters_memory import MemoryMeters, MeterMemory
from gateway.store.records import Opened
from tests.support.journals import STARTED_NS, a_journal, a_record, dead_copy, fill, recovered
from tests.support.meters import LIFETIME, meter, rolling

OWNER = "s:0-1"
STARTED_S = STARTED_NS // 10**9
METERS = {
    "requests": meter(REQUESTS, 100),
    "input": meter(INPUT, 10_000),
    "output": meter(OUTPUT, 10_000, rolling(60)),
    "concurrent": meter(CONCURRENT, 10),
    "usd": meter(MONEY, 10**9, LIFETIME),
}


class Directory:
    """Every request counts in all of `METERS`."""

    def keys_of(self, row: Row) -> list[tuple[str, Meter]]:
        return list(METERS.items())


def directories(digest: str) -> Directory | None:
    return Directory() if digest == "d" * 64 else None


def held(request_id: str, **more: Any) -> Opened:
    return Opened(request_id, STARTED_NS, "acme", "app", "chat", "small", "gpu-a", "d" * 64, True, 10, 20, 300, **more)


def used(request_id: str, **more: Any) -> Any:
    columns = {"held_input": 50, "held_output": 60, "charge_nanos": 7, "usage_from": "backend", "output_tokens": 34}
    return a_record(request_id, **{**columns, **more})


def leased(**leases: Lease) -> MemoryMeters:
    """A store in which the owner has these leases."""
    memory = MeterMemory()
    for key, lease in leases.items():
        window = METERS[key].window
        state = BucketState(lease.spent, {}, {OWNER: lease}, {}, METERS[key].cap, window.seconds, window.slot_s)
        memory.states[key] = encode(state)
    return MemoryMeters(memory)


def settled(store: MemoryMeters, directory: Path) -> dict[str, BucketState]:
    """The buckets after the owner, whose journal this is, was settled; and after that was done again."""
    clock = ManualClock(wall_ns=STARTED_NS + 10 * 10**9)
    count = asyncio.run(settling.settle(store, OWNER, directory, directories, clock))
    after = dict(store._memory.states)
    assert count == len(after)
    assert asyncio.run(settling.settle(store, OWNER, directory, directories, clock)) == 0
    assert store._memory.states == after
    return {key: decode(raw) for key, raw in after.items()}


def a_life(tmp_path: Path) -> tuple[Journal, tuple[int, int]]:
    """A journal in which one request was closed before the returned place; after it another one was, and one runs."""
    journal = a_journal(tmp_path / "live")
    for name in ("req_told", "req_untold", "req_running"):
        journal.open(held(name))
    journal.close(used("req_told"))
    place = journal.position
    journal.open(held("req_late"))
    journal.close(used("req_untold"))
    return journal, place


def test_what_was_spent_after_the_place_that_was_told_counts_and_the_rest_is_free(tmp_path: Path) -> None:
    journal, (segment, offset) = a_life(tmp_path)
    directory = dead_copy(journal, tmp_path)
    recovered(directory)
    journal.stop()
    after = settled(
        leased(
            requests=Lease(50, 3, 0, segment, offset),
            input=Lease(5_000, 12, 0, segment, offset),
            output=Lease(5_000, 34, 100, segment, offset),
            concurrent=Lease(10, 0, 0),
            usd=Lease(10**6, 7, 0, segment, offset),
        ),
        directory,
    )
    assert all(not state.leases for state in after.values())
    assert after["requests"].settled == 3 + 1, "one was opened since"
    assert after["input"].settled == 12 + 12 + 2 * 10, "one was closed since, two held 10"
    assert after["usd"].settled == 7 + 7 + 2 * 300
    assert after["concurrent"].settled == 0
    assert after["output"].settled == 34 + 34 + 2 * 20
    assert sum(after["output"].slots.values()) == 34 + 2 * 20
    assert after["usd"].retired == {"s": 614}


class ByModel:
    """Every request counts in a bucket of requests of each model that it came to."""

    def keys_of(self, row: Row) -> list[tuple[str, Meter]]:
        return [(model, METERS["requests"]) for model in models_of(row)]


def test_a_request_that_came_to_another_model_counts_once_for_each(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "live")
    journal.open(held("req_1"))
    journal.held(held("req_1", action="cut"))
    journal.held(held("req_1", action="fallback:n", moved=True))
    journal.held(held("req_1", action="fallback:n"))
    journal.close(used("req_1", action="fallback:n cut"))
    directory = dead_copy(journal, tmp_path)
    recovered(directory)
    journal.stop()
    leases = {"small": Lease(50, 0, 0), "n": Lease(50, 0, 0)}
    found = settling.spent_after(directory, leases, lambda digest: ByModel(), STARTED_NS)
    assert {key: [amount for _, amount in spends or ()] for key, spends in found.items()} == {"small": [1], "n": [1]}


def test_a_rolling_window_counts_it_as_spent_when_it_is_found_since_clocks_may_have_jumped(tmp_path: Path) -> None:
    journal, (segment, offset) = a_life(tmp_path)
    directory = dead_copy(journal, tmp_path)
    recovered(directory)
    journal.stop()
    after = settled(leased(output=Lease(5_000, 34, 0, segment, offset)), directory)
    assert after["output"].slots == {STARTED_S + 10: 74}


def test_everything_counts_of_a_lease_that_was_never_told(tmp_path: Path) -> None:
    journal, _ = a_life(tmp_path)
    directory = dead_copy(journal, tmp_path)
    recovered(directory)
    journal.stop()
    after = settled(leased(requests=Lease(50), usd=Lease(10**6)), directory)
    assert after["requests"].settled == 4
    assert after["usd"].settled == 7 + 7 + 2 * 300


def test_an_orderly_end_leaves_nothing_to_count(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.open(held("req_1"))
    journal.close(used("req_1"))
    segment, offset = journal.position
    journal.stop()
    recovered(journal.directory)
    after = settled(leased(usd=Lease(1_000, 7, 993, segment, offset)), journal.directory)
    assert (after["usd"].settled, after["usd"].leases) == (7, {})


def test_never_more_is_spent_than_was_leased(tmp_path: Path) -> None:
    journal, (segment, offset) = a_life(tmp_path)
    directory = dead_copy(journal, tmp_path)
    recovered(directory)
    journal.stop()
    after = settled(leased(usd=Lease(100, 7, 10, segment, offset)), directory)
    assert after["usd"].settled == 100 - 10


def test_refusals_and_requests_that_were_never_let_in_spend_nothing(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.add(a_record("req_1", outcome="refused", usage_from="", held_input=50, held_nanos=70))
    journal.stop()
    recovered(journal.directory)
    after = settled(leased(requests=Lease(9), usd=Lease(100)), journal.directory)
    assert [state.settled for state in after.values()] == [0, 0]


@pytest.mark.parametrize("how", ["configuration", "damage", "segment", "nonsense"])
def test_where_the_journal_cannot_say_all_that_could_be_spent_is(tmp_path: Path, how: str) -> None:
    journal = a_journal(tmp_path)
    journal.open(held("req_1"))
    journal.close(used("req_1", snapshot=("e" if how == "configuration" else "d") * 64))
    if how == "nonsense":
        journal._append(3, b"\xc1")
    fill(journal, segments=1)
    journal.stop()
    recovered(journal.directory)
    first = journal.directory / "000001.seg"
    if how == "damage":
        data = bytearray(first.read_bytes())
        data[60] ^= 1
        first.write_bytes(data)
    elif how == "segment":
        first.unlink()
    after = settled(leased(usd=Lease(1_000, 100, 200), output=Lease(500)), journal.directory)
    assert after["usd"].settled == 1_000 - 200
    assert after["output"].slots == {STARTED_S + 10: 500}


def test_buckets_that_cannot_be_read_are_left_as_they_are(tmp_path: Path) -> None:
    store = leased(usd=Lease(10))
    store._memory.states["broken"] = b"\xc1" + OWNER.encode()
    journal = a_journal(tmp_path)
    journal.stop()
    recovered(journal.directory)
    asyncio.run(settling.settle(store, OWNER, journal.directory, directories, ManualClock()))
    asyncio.run(settling.end(store, OWNER, {"broken": None, "nowhere": None}, ManualClock()))
    assert store._memory.states["broken"] == b"\xc1" + OWNER.encode()
    assert "nowhere" not in store._memory.states
    assert BEGIN == (0, 0)


class Slow(MemoryMeters):
    """A store that does what the owner had sent before it died only after it was asked for the leases."""

    def __init__(self, memory: MeterMemory, late: list[Report]) -> None:
        super().__init__(memory)
        self._late = late

    async def scan(self, prefix: str = "") -> dict[str, bytes]:
        found = await super().scan(prefix)
        if self._late:
            report = self._late.pop()
            raw, _ = exchange_stored(found.get(report.key), OWNER, report, STARTED_S)
            assert raw is not None
            self._memory.states[report.key] = raw
        return found


def test_what_a_store_did_for_the_owner_only_after_its_death_counts_once(tmp_path: Path) -> None:
    journal = a_journal(tmp_path / "live")
    journal.open(held("req_1"))
    place = journal.position
    journal.close(used("req_1"))
    told = journal.position
    directory = dead_copy(journal, tmp_path)
    recovered(directory)
    journal.stop()
    before = leased(usd=Lease(1_000, 0, 0, *place))
    segment, offset = told
    late = [
        Report("requests", METERS["requests"].cap, known=False, want=9, segment=segment, offset=offset),
        Report("usd", METERS["usd"].cap, granted=1_000, spent=7, spends=((0, 7),), segment=segment, offset=offset),
    ]
    after = settled(Slow(before._memory, late), directory)
    assert (after["usd"].settled, after["usd"].leases) == (7, {}), "told by the owner itself, and read in its journal"
    assert (after["requests"].settled, after["requests"].leases) == (0, {})


def test_of_a_journal_that_is_not_there_any_more_all_that_could_be_spent_is(tmp_path: Path) -> None:
    after = settled(leased(usd=Lease(1_000, 100, 200)), tmp_path / "0-1")
    assert after["usd"].settled == 1_000 - 200


def test_other_owners_keep_theirs(tmp_path: Path) -> None:
    store = leased(usd=Lease(10))
    state = decode(store._memory.states["usd"])
    state.leases["s:0-10"] = Lease(5)
    store._memory.states["usd"] = encode(state)
    journal = a_journal(tmp_path)
    journal.stop()
    recovered(journal.directory)
    asyncio.run(settling.settle(store, OWNER, journal.directory, directories, ManualClock()))
    assert list(decode(store._memory.states["usd"]).leases) == ["s:0-10"]


def test_only_buckets_that_are_still_over_are_dropped() -> None:
    memory = MeterMemory()
    old, asked_again, broken = (f"{name}|usd|month@UTC|2020-01" for name in ("a:", "b:", "c:"))
    memory.states = {old: encode(BucketState(5)), asked_again: encode(BucketState(5, {}, {OWNER: Lease(9)}))}
    memory.states[broken] = b"\xc1"
    keys = [old, asked_again, broken, "d:|usd|month@UTC|2020-01"]
    asyncio.run(settling.drop(MemoryMeters(memory), keys, ManualClock(wall_ns=STARTED_NS)))
    assert list(memory.states) == [asked_again, broken]

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gateway.clock import ManualClock
from gateway.config import archive
from gateway.config.load import load
from gateway.policy.authority import BucketState, Lease, decode, encode
from gateway.runtime.keeper_meters import KEPT_SNAPSHOTS, SURVEY_EVERY_S, KeeperMeters, Snapshots
from gateway.store.ledger import Ledger
from gateway.telemetry.logs import Log
from tests.support.gateway_process import minimal, write
from tests.support.journals import STARTED_NS, a_journal, a_record, recovered


def archived(tmp_path: Path, **sections: Any) -> str:
    write(tmp_path / "config", minimal(**sections))
    return archive.write(tmp_path / "state", archive.encode(load(tmp_path / "config")))


def test_the_buckets_of_a_record_are_those_of_the_configuration_it_was_made_under(tmp_path: Path) -> None:
    meters = [{"cap": "$5", "window": "month"}, {"cap": "600 requests", "window": "60s"}]
    digest = archived(tmp_path, meters=[*meters, {"cap": "$1", "window": "day", "per": "end_user"}])
    snapshots = Snapshots(tmp_path / "state")
    record = a_record(snapshot=digest, end_user="u-7", started_ns=1_800_000_000 * 10**9)
    assert list(snapshots.money_keys(record)) == [
        "gateway:|usd|month@UTC|2027-01",
        "gateway.end_user:acme/u-7|usd|day@UTC|2027-01-15",
    ]
    assert snapshots.money_keys(record) is snapshots.money_keys(record), "looked up, not computed"
    record.end_user = "u-8"
    assert snapshots.money_keys(record)[1] == "gateway.end_user:acme/u-8|usd|day@UTC|2027-01-15"
    directory = snapshots.directory(digest)
    assert directory is not None
    assert len(directory.keys_of(record)) == 3


def test_without_meters_of_money_there_are_none(tmp_path: Path) -> None:
    digest = archived(tmp_path, meters=[{"cap": "600 requests", "window": "60s"}])
    assert list(Snapshots(tmp_path / "state").money_keys(a_record(snapshot=digest))) == []


def test_a_configuration_that_is_not_there_is_none(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path)
    assert snapshots.directory("e" * 64) is None
    assert list(snapshots.money_keys(a_record(snapshot="e" * 64))) == []


def test_only_a_few_are_kept_in_memory(tmp_path: Path) -> None:
    snapshots = Snapshots(tmp_path / "state")
    digests = [archived(tmp_path, server={"workers": count}) for count in range(1, KEPT_SNAPSHOTS + 3)]
    for digest in digests:
        assert snapshots.directory(digest) is not None
    assert len(snapshots._known) == KEPT_SNAPSHOTS


def test_what_a_dead_worker_got_after_it_was_settled_is_found_and_given_back(tmp_path: Path) -> None:
    (tmp_path / "state-id").write_text("s")
    (tmp_path / "run").mkdir()
    journal = a_journal(tmp_path)
    journal.stop()
    recovered(journal.directory)
    clock = ManualClock(wall_ns=STARTED_NS)
    ledger = Ledger(tmp_path, clock)
    while ledger.add():
        pass
    key = "tenant:acme|usd|lifetime|"
    living = a_journal(tmp_path, slot=1)
    names = {"dead": journal.directory.name, "dropped": "7-000000000001", "living": living.directory.name}
    leases = {what: f"s:{name}" for what, name in names.items()} | {"elsewhere": f"other:{names['dead']}"}

    async def left() -> list[str]:
        meters = KeeperMeters(tmp_path, "sqlite", clock, Log(clock, "error", process="keeper"))
        state = BucketState(0, {}, {owner: Lease(100) for owner in leases.values()}, cap=1_000)
        await meters._store.update([key], lambda key, raw: (encode(state), None))
        clock.advance(SURVEY_EVERY_S)
        await meters.look_over(ledger)
        found = decode((await meters._store.read([key]))[key]).leases
        await meters.close()
        return [what for what, owner in leases.items() if owner in found]

    assert asyncio.run(left()) == ["dead", "living", "elsewhere"], "who settles the dead one is about to"
    ledger.settled(names["dead"])
    assert asyncio.run(left()) == ["living", "elsewhere"]
    living.stop()
    ledger.close()

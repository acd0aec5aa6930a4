from __future__ import annotations

from pathlib import Path
from typing import Any

from gateway.config import archive
from gateway.config.load import load
from gateway.runtime.keeper_meters import KEPT_SNAPSHOTS, Snapshots
from tests.support.gateway_process import minimal, write
from tests.support.journals import a_record


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

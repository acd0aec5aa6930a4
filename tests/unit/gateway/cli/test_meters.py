from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli.meters import meters
from gateway.config.entries import EntryId
from gateway.policy.authority import BucketState, Lease, decode, encode
from gateway.runtime.meter_stores import DATABASE, open_store
from gateway.runtime.state_dir import StateDir, owner
from gateway.store.control.base import NEW, Put, Who
from gateway.store.control.opening import DATABASE as DATABASE_OF_CONTROL
from gateway.store.control.opening import open_store as open_control
from tests.support.journals import a_journal, recovered

KEY = "tenant:acme|usd|month@UTC|2026-11"
LOST = "0123456789abcdef:0-1"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(meters, [str(argument) for argument in arguments])


def put(state_dir: Path, *owners: str) -> None:
    async def scenario() -> None:
        store = open_store("sqlite", state_dir, "s:test")
        state = BucketState(10, {}, {each: Lease(1_000, 10, 0) for each in owners}, cap=10_000)
        await store.update([KEY], lambda key, raw: (encode(state), None))
        await store.close()

    asyncio.run(scenario())


def stored(state_dir: Path) -> BucketState:
    async def scenario() -> BucketState:
        store = open_store("sqlite", state_dir, "s:test")
        found = await store.scan()
        await store.close()
        return decode(found[KEY])

    return asyncio.run(scenario())


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    StateDir.take(tmp_path).release()
    (tmp_path / "journal").mkdir()
    return tmp_path


def test_buckets_are_shown_as_a_table_and_as_json(state_dir: Path) -> None:
    put(state_dir, LOST)
    told = run("show", "--state-dir", state_dir).stdout
    assert "tenant:acme  usd     month@UTC 2026-11" in told
    (row,) = map(json.loads, run("show", "--state-dir", state_dir, "--format", "json").stdout.splitlines())
    assert (row["bucket"], row["used"], row["leased"], row["left"]) == (KEY, 10, 990, 9_000)
    assert run("show", "key:", "--state-dir", state_dir).stdout == f"No meter has been used yet in {state_dir}.\n"


def test_with_the_configuration_at_hand_unused_budgets_are_shown_too_and_caps_as_they_are_now(state_dir: Path) -> None:
    put(state_dir, LOST)
    folder = state_dir / "config"
    folder.mkdir()
    text = (
        "{backends: {b: {kind: fake}}, models: {m: {backend: b, price: free}}, tenants: {globex: {models: ['*'], %s}}}"
    )
    (folder / "a.yaml").write_text(text % "meters: [{cap: $5, window: lifetime}]")
    budget = b'{"meters":[{"cap":"$9","window":"lifetime"}]}'

    async def scenario() -> None:
        store = open_control("sqlite", state_dir)
        await store.open()
        app = Put(EntryId("key", "globex", "app"), budget, NEW)
        await store.apply([app], Who("alice", "", "test"), "", 1)
        await store.close()

    asyncio.run(scenario())
    show = ("show", "--state-dir", state_dir, "--config", folder, "--format", "json")
    rows = [json.loads(line) for line in run(*show).stdout.splitlines()]
    assert {row["bucket"]: (row["used"], row["cap"]) for row in rows} == {
        KEY: (10, 10_000),
        "tenant:globex|usd|lifetime|": (0, 5 * 10**9),
        "key:globex/app|usd|lifetime|": (0, 9 * 10**9),
    }
    (only,) = run(*show, "key:globex").stdout.splitlines()
    assert json.loads(only)["bucket"] == "key:globex/app|usd|lifetime|"
    (state_dir / DATABASE_OF_CONTROL).write_bytes(b"no database" * 100)
    told = run(*show)
    assert "Not shown: meters that were not used yet, and caps that changed since." in told.stderr
    assert json.loads(told.stdout)["bucket"] == KEY


def test_owners_are_shown_with_what_has_become_of_them(state_dir: Path) -> None:
    journal, dead = a_journal(state_dir), a_journal(state_dir, slot=1)
    dead.stop()
    recovered(dead.directory)
    names = [owner(state_dir, name) for name in (journal.directory.name, dead.directory.name, "2-00")]
    put(state_dir, *names, LOST)
    told = run("show", "--owners", "--state-dir", state_dir).stdout
    for name, status in zip([*names, LOST], ("alive", "to be settled", "lost", "elsewhere"), strict=True):
        (line,) = (line for line in told.splitlines() if line.startswith(name))
        assert line.removeprefix(name).strip().startswith(status)
    journal.stop()


def test_what_a_lost_owner_had_leased_is_given_back(state_dir: Path) -> None:
    put(state_dir, LOST, "other:0-1")
    result = run("reclaim", LOST, "--yes", "--state-dir", state_dir)
    assert result.stdout.endswith(f"{LOST} has no leases any more\n")
    state = stored(state_dir)
    assert (state.settled, list(state.leases)) == (10, ["other:0-1"])
    result = run("reclaim", LOST, "--yes", "--state-dir", state_dir)
    assert result.exit_code == 1
    assert "has leased anything" in result.stderr


def test_it_can_be_counted_as_spent_instead(state_dir: Path) -> None:
    put(state_dir, LOST)
    run("reclaim", LOST, "--as-spent", "--yes", "--state-dir", state_dir)
    assert stored(state_dir).settled == 1_000
    assert stored(state_dir).leases == {}


def test_it_is_asked_before(state_dir: Path) -> None:
    put(state_dir, LOST)
    result = CliRunner().invoke(meters, ["reclaim", LOST, "--state-dir", str(state_dir)], input="n\n")
    assert "Give all of this back?" in result.stdout
    assert list(stored(state_dir).leases) == [LOST]


def test_an_owner_that_lives_or_whose_journal_is_here_is_left_alone(state_dir: Path) -> None:
    journal = a_journal(state_dir)
    name = owner(state_dir, journal.directory.name)
    put(state_dir, name)
    assert "it runs" in run("reclaim", name, "--yes", "--state-dir", state_dir).stderr
    journal.stop()
    assert "its journal is here" in run("reclaim", name, "--yes", "--state-dir", state_dir).stderr
    assert list(stored(state_dir).leases) == [name]


def test_where_there_are_no_meters_that_is_said(state_dir: Path) -> None:
    result = run("show", "--state-dir", state_dir)
    assert result.exit_code == 1
    assert "there are no meters in" in result.stderr
    assert not (state_dir / DATABASE).exists()

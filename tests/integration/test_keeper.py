"""What the keeper does about meters, with real processes: what a dead worker had leased comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from pathlib import Path

from gateway.config.snapshot_meters import MONEY
from gateway.policy.authority import BucketState, Lease, decode, encode
from gateway.runtime.meter_stores import DATABASE, open_store
from gateway.runtime.state_dir import owner
from gateway.store.journal_read import directories
from tests.integration.test_serve_crash import metric
from tests.support.gateway_process import GatewayProcess, serving, until
from tests.support.meters import meter

KEY = "tenant:acme|usd|lifetime|"


def write(state_dir: Path, key: str, state: BucketState) -> None:
    """Puts a bucket into the store."""

    async def scenario() -> None:
        store = open_store("sqlite", state_dir, "s:test")
        await store.update([key], lambda key, raw: (encode(state), None))
        await store.close()

    asyncio.run(scenario())


def bucket(state_dir: Path, key: str) -> BucketState:
    """A bucket as it is in the store."""
    with sqlite3.connect(state_dir / DATABASE) as database:
        (raw,) = database.execute("SELECT state FROM meters WHERE key = ?", (key,)).fetchone()
    database.close()
    return decode(raw)


def lease_something(gateway: GatewayProcess) -> str:
    """A lease of the only worker's, of which it knows nothing; returns its name."""
    (journal,) = directories(gateway.state_dir)
    name = owner(gateway.state_dir, journal.name)
    state = BucketState(7, {}, {name: Lease(1_000, 7, 0, 1, 32), "other:0-1": Lease(50)}, cap=meter(MONEY, 5_000).cap)
    write(gateway.state_dir, KEY, state)
    return name


def test_what_a_killed_worker_had_leased_comes_back(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        name = lease_something(gateway)
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        gateway.until_event("leases_settled")
        state = bucket(gateway.state_dir, KEY)
        assert name not in state.leases
        assert (state.settled, state.leased()) == (7, 50)
        until(lambda: metric(gateway, "lockgate_meter_unsettled_owners") == 0, "nobody is unsettled")
        gateway.until_event("worker_ready", 2)
        assert gateway.chat().status == 200


def test_what_a_killed_gateway_had_leased_comes_back_with_the_next(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        lease_something(gateway)
        for pid in (gateway.pid, *gateway.worker_pids()):
            os.kill(pid, signal.SIGKILL)
        gateway.process.wait()
    with serving(tmp_path) as gateway:
        gateway.until_event("leases_settled")
        assert bucket(gateway.state_dir, KEY).leased() == 50


def test_a_store_that_does_not_answer_is_told_and_asked_again(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        lease_something(gateway)
        database = gateway.state_dir / DATABASE
        whole = database.read_bytes()
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
        database.write_bytes(b"no database" * 1_000)
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        gateway.until_event("meters_failed")
        database.write_bytes(whole)
        gateway.until_event("leases_settled")

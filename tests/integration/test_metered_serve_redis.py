"""A whole gateway on a Redis that is emptied, killed and restarted: what was spent is known again from the ledger,
before anything more is let through."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.policy import authority
from gateway.runtime.meter_stores import open_store
from gateway.runtime.state_dir import owner
from gateway.store.journal_read import directories
from gateway.store.settling import leases_of
from tests.integration.test_metered_serve import CONFIGURATION, ask_some, total
from tests.support.gateway_process import serving, until
from tests.support.store_servers import RedisServer, StoreServer, missing, running

pytestmark = [pytest.mark.redis, pytest.mark.skipif(bool(missing("redis")), reason=missing("redis"))]


@pytest.fixture
def server() -> Iterator[StoreServer]:
    with running(RedisServer()) as server:
        yield server


def settled(server: StoreServer, state_dir: Path) -> int:
    """The nano-dollars that Redis knows to be spent."""

    async def scenario() -> int:
        store = open_store(server.url, state_dir, "s:test")
        found = await store.scan()
        await store.close()
        return sum(authority.decode(raw).settled for key, raw in found.items() if "|usd|" in key)

    return asyncio.run(scenario())


def leases_of_first(server: StoreServer, folder: Path) -> int:
    """What the worker in the first slot has leased."""
    (journal,) = (each for each in directories(folder) if each.name.startswith("0-"))

    async def scenario() -> int:
        store = open_store(server.url, folder, "s:test")
        found = await leases_of(store, owner(folder, journal.name))
        await store.close()
        return len(found)

    return asyncio.run(scenario())


def test_the_first_request_is_let_in_and_all_is_settled_at_the_end(tmp_path: Path, server: StoreServer) -> None:
    with serving(tmp_path, {**CONFIGURATION, "stores": {"meters": server.url}}) as gateway:
        spent = ask_some(gateway, 10)
        assert gateway.stop() == 0
    assert settled(server, tmp_path / "state") == spent


@pytest.mark.parametrize("emptied", [False, True])
def test_a_redis_that_was_restarted_learns_again_what_was_spent(
    tmp_path: Path, server: StoreServer, emptied: bool
) -> None:
    with serving(tmp_path, {**CONFIGURATION, "stores": {"meters": server.url}}) as gateway:
        spent = ask_some(gateway, 10)
        while not leases_of_first(server, tmp_path / "state"):  # whichever worker takes a connection, takes it
            spent += ask_some(gateway, 1)
        os.kill(gateway.worker_pids()[0], signal.SIGKILL)
        gateway.until_event("leases_settled")
        if emptied:

            async def empty() -> None:
                from redis.asyncio import Redis

                client = Redis.from_url(server.url)
                await client.flushall()
                await client.aclose()

            asyncio.run(empty())
        server.kill()
        server.start()
        gateway.until_event("meters_reconciled", 2)
        until(lambda: all(gateway.chat().status == 200 for _ in range(10)), "every worker lets in again")
        assert gateway.stop() == 0
    whole = int(total(tmp_path / "state")["cost_usd"] * 10**9)
    assert whole > spent
    assert settled(server, tmp_path / "state") == whole

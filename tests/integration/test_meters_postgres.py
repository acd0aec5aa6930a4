"""Meters in a real PostgreSQL that is frozen, killed, restarted, or set up so that it may forget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from gateway.clock import within
from gateway.errors import ConfigError
from gateway.store.meters import MeterStoreDown
from gateway.store.meters_postgres import PostgresMeters
from tests.support.meter_writer import add
from tests.support.store_servers import PostgresServer, missing, running

pytestmark = [pytest.mark.postgresql, pytest.mark.skipif(bool(missing("postgresql")), reason=missing("postgresql"))]
TIMEOUT_S = 0.5


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    with running(server):
        yield server


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(within(scene(), 60))


def test_a_frozen_server_is_down_and_what_it_was_asked_happens_at_most_once(server: PostgresServer) -> None:
    async def scene() -> None:
        store = PostgresMeters(server.url, "state:0-1", TIMEOUT_S)
        await store.check()
        await store.update(["frozen"], add)
        server.freeze()
        began_s = asyncio.get_running_loop().time()
        for _ in range(2):
            with pytest.raises(MeterStoreDown):
                await store.update(["frozen"], add)
        assert asyncio.get_running_loop().time() - began_s < 4 * TIMEOUT_S + 1
        server.thaw()
        assert (await store.update(["frozen"], add))["frozen"] == 2
        await store.close()

    run(scene)


def test_a_killed_server_comes_back_with_all_that_was_granted_and_recalls_are_heard_again(
    server: PostgresServer,
) -> None:
    async def scene() -> None:
        first, second = (PostgresMeters(server.url, f"state:{n}-1", TIMEOUT_S) for n in range(2))
        heard: list[str] = []
        second.on_recall(heard.extend)
        await first.update(["killed"], add)
        server.kill()
        with pytest.raises(MeterStoreDown):
            await first.update(["killed"], add)
        server.start()
        assert (await first.update(["killed"], add))["killed"] == 2
        for _ in range(100):
            await first.recall(["killed"])
            await asyncio.sleep(0.02)
            if heard:
                break
        assert set(heard) == {"killed"}
        for store in (first, second):
            await store.close()

    run(scene)


def test_owners_that_make_the_same_rows_in_every_order_never_block_each_other(server: PostgresServer) -> None:
    async def scene() -> None:
        stores = [PostgresMeters(server.url, f"state:{n}-1", 5.0) for n in range(4)]

        async def count(n: int) -> None:
            for turn in range(15):
                keys = [f"row{turn}-{each}" for each in range(6)]
                await stores[n].update((keys[n:] + keys[:n])[:: 1 if n % 2 else -1], add)

        await asyncio.gather(*(count(n) for n in range(4)))
        assert set((await stores[0].scan("row")).values()) == {b"4"}
        for store in stores:
            await store.close()

    run(scene)


def test_a_server_that_may_forget_is_refused_at_start(server: PostgresServer) -> None:
    async def scene() -> None:
        store = PostgresMeters(server.url, "state:0-1", 5.0)
        server.query("ALTER SYSTEM SET fsync = off")
        server.query("SELECT pg_reload_conf()")
        for _ in range(200):
            if server.query("SHOW fsync").strip() == "off":
                break
            await asyncio.sleep(0.02)
        try:
            with pytest.raises(ConfigError, match=r"`fsync = on` \(it is `off`\)"):
                await store.check()
        finally:
            server.query("ALTER SYSTEM RESET fsync")
            server.query("SELECT pg_reload_conf()")
            await store.close()

    run(scene)


def test_a_commit_is_on_the_disk_even_where_the_server_does_not_do_so_by_itself(server: PostgresServer) -> None:
    async def scene() -> None:
        server.query("ALTER ROLE lockgate SET synchronous_commit = off")
        store = PostgresMeters(server.url, "state:0-1", 5.0)
        await store.check()
        assert await store._connection.fetchval("SHOW synchronous_commit") == "on"
        server.query("ALTER ROLE lockgate RESET synchronous_commit")
        await store.close()

    run(scene)


def test_nobody_there_is_told_without_the_password() -> None:
    async def scene() -> None:
        store = PostgresMeters("postgresql://lockgate:hunter2@127.0.0.1:1/postgres", "state:0-1", TIMEOUT_S)
        with pytest.raises(MeterStoreDown) as down:
            await store.check()
        assert "hunter2" not in str(down.value)
        await store.close()

    run(scene)

"""Meters in a real Redis that is frozen, killed, restarted, emptied, or set up so that it may forget."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from gateway.clock import SystemClock, within
from gateway.config.snapshot_meters import MONEY
from gateway.dataplane.leasing import Leasing, Short
from gateway.errors import ConfigError, MetersUnavailable
from gateway.policy import authority
from gateway.policy.authority import BucketState
from gateway.policy.leases import Hold
from gateway.store.meters import MeterStoreDown, Unreconciled
from gateway.store.meters_redis import RedisMeters
from tests.support.meter_writer import add
from tests.support.meters import meter, needs
from tests.support.store_servers import RedisServer, StoreServer, missing, running

pytestmark = [pytest.mark.redis, pytest.mark.skipif(bool(missing("redis")), reason=missing("redis"))]
TIMEOUT_S = 0.3


@pytest.fixture
def server() -> Iterator[StoreServer]:
    with running(RedisServer()) as server:
        yield server


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(within(scene(), 60))


async def opened(server: StoreServer, owner: str = "state:0-1") -> RedisMeters:
    store = RedisMeters(server.url, owner, TIMEOUT_S)
    await store.check()
    if not await store.reconciled():
        await store.reconcile({}, 0)
    return store


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["--maxmemory-policy", "allkeys-lru"], "`maxmemory-policy noeviction` (it is `allkeys-lru`)"),
        (["--appendonly", "no"], "`appendonly yes` (it is `no`)"),
        (["--appendfsync", "everysec"], "`appendfsync always` (it is `everysec`)"),
    ],
)
def test_a_redis_that_may_forget_is_refused_at_start_with_what_to_change(settings: list[str], told: str) -> None:
    async def scene(server: StoreServer) -> None:
        store = RedisMeters(server.url, "state:0-1", TIMEOUT_S)
        with pytest.raises(ConfigError) as refused:
            await store.check()
        assert told in str(refused.value)
        await store.close()

    with running(RedisServer(*settings)) as server:
        run(lambda: scene(server))


def test_a_redis_that_does_not_tell_its_settings_is_refused() -> None:
    async def scene(server: StoreServer) -> None:
        store = RedisMeters(server.url, "state:0-1", TIMEOUT_S)
        with pytest.raises(ConfigError, match="CONFIG GET"):
            await store.check()
        await store.close()

    with running(RedisServer("--rename-command", "CONFIG", "")) as server:
        run(lambda: scene(server))


def test_nobody_there_is_told_without_the_password() -> None:
    async def scene() -> None:
        store = RedisMeters("redis://:hunter2@127.0.0.1:1/0", "state:0-1", TIMEOUT_S)
        with pytest.raises(MeterStoreDown) as down:
            await store.check()
        assert "hunter2" not in str(down.value)
        await store.close()

    run(scene)


def test_a_frozen_redis_is_down_and_what_it_was_asked_happens_at_most_once(server: StoreServer) -> None:
    async def scene() -> None:
        store = await opened(server)
        await store.update(["a"], add)
        server.freeze()
        began_s = asyncio.get_running_loop().time()
        for _ in range(3):
            with pytest.raises(MeterStoreDown):
                await store.update(["a"], add)
        assert asyncio.get_running_loop().time() - began_s < 6 * TIMEOUT_S + 1
        server.thaw()
        assert (await store.update(["a"], add))["a"] == 2
        assert await store.read(["a"]) == {"a": b"2"}
        await store.close()

    run(scene)


def test_a_redis_that_is_full_is_down_for_what_grows(server: StoreServer) -> None:
    async def scene() -> None:
        store = await opened(server)
        await store.update(["a"], add)
        await store._redis.config_set("maxmemory", "1mb")
        with pytest.raises(MeterStoreDown, match="maxmemory"):
            await store.update([f"k{n}" for n in range(3)], lambda key, old: (b"x" * 10**6, None))
        await store._redis.config_set("maxmemory", "0")
        assert (await store.update(["a"], add))["a"] == 2
        await store.close()

    run(scene)


def test_a_restarted_redis_grants_nothing_until_it_was_compared_with_the_ledger(server: StoreServer) -> None:
    async def scene() -> None:
        first, second = await opened(server), await opened(server, "state:1-1")
        await first.update(["a"], add)
        server.kill()
        with pytest.raises(MeterStoreDown):
            await first.update(["a"], add)
        server.start()
        for store in (first, second):
            with contextlib.suppress(MeterStoreDown):
                await store.read(["a"])  # the connection that was cut
            with pytest.raises(Unreconciled):
                await store.update(["a"], add)
        assert not await second.reconciled()
        await first.update(["a"], add, restating=True)
        await first.restate_done((3, 4))
        assert await second.restated() == {"state:0-1": (3, 4)}
        await second.reconcile({}, 0)
        assert await first.reconciled()
        assert (await first.update(["a"], add))["a"] == 3
        for store in (first, second):
            await store.close()

    run(scene)


def test_a_redis_that_was_emptied_grants_nothing(server: StoreServer) -> None:
    async def scene() -> None:
        store = await opened(server)
        await store.update(["a"], add)
        await store._redis.flushall()
        with pytest.raises(Unreconciled):
            await store.update(["a"], add)
        await store.close()

    run(scene)


def test_another_machine_is_reconciled_for_itself(server: StoreServer) -> None:
    async def scene() -> None:
        await (await opened(server)).close()
        other = RedisMeters(server.url, "other:0-1", TIMEOUT_S)
        with pytest.raises(Unreconciled):
            await other.update(["a"], add)
        await other.close()

    run(scene)


def test_workers_tell_again_what_a_redis_lost_and_the_ledger_what_dead_ones_spent(server: StoreServer) -> None:
    """Two workers and a dead one have spent; Redis comes back empty; nothing may be granted twice."""
    cap = 1_000

    async def scene() -> None:
        stores = [await opened(server, f"state:{n}-1") for n in range(2)]
        keeper = await opened(server, "state:keeper")
        workers = [Leasing(store, f"state:{n}-1", SystemClock(), lambda: (1, 500)) for n, store in enumerate(stores)]
        bundles = [each.bundle([each.bucket(meter(MONEY, cap), "m")]) for each in workers]

        def died(key: str, raw: bytes | None) -> tuple[bytes, None]:
            state = BucketState(settled=100, retired={"state": 100})  # a worker that was here before
            return authority.encode(state), None

        await keeper.update(["m"], died)
        kept = [
            await each.hold_or_wait(bundle, needs(nanos=200)) for each, bundle in zip(workers, bundles, strict=True)
        ]
        workers[0].settle(kept[0], needs(nanos=150))
        workers[0].tell()
        await workers[0].hold_or_wait(bundles[0], needs(nanos=1))  # one more request, held to the end
        server.kill()
        for file in (server.folder / "appendonlydir").iterdir():
            file.unlink()
        server.start()
        for each, bundle in zip(workers, bundles, strict=True):
            while isinstance(each.hold(bundle, needs(nanos=1)), Hold):
                pass  # what is in the pocket may be spent all the time
            with pytest.raises(MetersUnavailable):
                await each.hold_or_wait(bundle, needs(nanos=1))
        with contextlib.suppress(MeterStoreDown):
            await keeper.restated()
        await all_restated(keeper)
        assert await keeper.restated() == {"state:0-1": (1, 500), "state:1-1": (1, 500)}
        ledger = {"m": {"state": [(0, 100)], "state:0-1": [(0, 150)]}}
        await keeper.reconcile(ledger, 0)
        held = sum(bundle.buckets[0].held for bundle in bundles)
        granted = 0
        for each, bundle in zip(workers, bundles, strict=True):
            each._down_until_s = 0.0
            while True:
                try:
                    await each.hold_or_wait(bundle, needs(nanos=1))
                except Short:
                    break
                granted += 1
        state = authority.decode((await keeper.read(["m"]))["m"])
        assert state.settled == 250
        assert 250 + held + granted == cap == state.settled + state.leased()
        for each in workers:
            each._timer.cancel() if each._timer else None
        for store in (*stores, keeper):
            await store.close()

    async def all_restated(keeper: RedisMeters) -> None:
        for _ in range(200):
            if len(await keeper.restated()) == 2:
                return
            await asyncio.sleep(0.02)

    run(scene)

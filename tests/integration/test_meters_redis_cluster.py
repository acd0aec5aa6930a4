"""Meters in a real Redis Cluster of three masters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from gateway.clock import SystemClock, within
from gateway.config.snapshot_meters import MONEY
from gateway.dataplane.leasing import Leasing, Short
from gateway.policy.leases import Hold
from gateway.store.meters import MeterStoreDown, Unreconciled
from gateway.store.meters_redis import PREFIX, RUNS, RedisMeters
from tests.support.meters import meter, needs
from tests.support.ports import free_port
from tests.support.running import until
from tests.support.store_servers import RedisServer, missing, running

pytestmark = [pytest.mark.redis, pytest.mark.skipif(bool(missing("redis")), reason=missing("redis"))]
TIMEOUT_S = 2.0
SLOTS = 16_384
OK = b"cluster_state:ok"


class Node(RedisServer):
    """A master of a cluster."""

    def __init__(self) -> None:
        bus = str(free_port())
        super().__init__("--cluster-enabled", "yes", "--cluster-port", bus, "--cluster-node-timeout", "2000")
        self.bus = int(bus)

    def ask(self, *words: object) -> Any:
        """One command, as it is answered."""
        with redis.Redis(port=self.port) as client:
            return client.execute_command(*words)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[Node]]:
    with ExitStack() as stack:
        found = [Node() for _ in range(3)]
        for node in found:
            stack.enter_context(running(node))
        for number, node in enumerate(found):
            node.ask("CLUSTER", "ADDSLOTSRANGE", number * SLOTS // 3, (number + 1) * SLOTS // 3 - 1)
            if number:
                found[0].ask("CLUSTER", "MEET", "127.0.0.1", node.port, node.bus)
        asyncio.run(
            until(lambda: all(OK in node.ask("CLUSTER", "INFO") for node in found), "the nodes found each other", 60.0)
        )
        yield found


def run(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(within(scene(), 60))


async def opened(node: Node, owner: str = "state:0-1") -> RedisMeters:
    store = RedisMeters(node.url, owner, TIMEOUT_S)
    await store.check()
    if not await store.reconciled():
        await store.reconcile({}, 0)
    return store


def test_every_key_lies_in_one_slot(nodes: list[Node]) -> None:
    names = [PREFIX + "tenant:acme|usd|day@UTC|2026-01-01", PREFIX + "{x}", RUNS]
    assert len({nodes[0].ask("CLUSTER", "KEYSLOT", name) for name in names}) == 1


@pytest.mark.parametrize("first", [0, 1, 2])
def test_workers_that_begin_at_different_nodes_share_one_cap_to_its_end(nodes: list[Node], first: int) -> None:
    async def scene() -> None:
        cap = meter(MONEY, 100)
        key = f"tenant:acme-{first}|usd|lifetime|"
        stores = [await opened(nodes[first], "state:0-1"), await opened(nodes[(first + 1) % 3], "state:1-1")]
        workers = [Leasing(store, f"state:{number}-1", SystemClock()) for number, store in enumerate(stores)]
        spent = 0
        while True:
            held: list[Hold] = []
            for worker in workers:
                try:
                    held.append(
                        await worker.hold_or_wait(worker.bundle([worker.bucket(cap, key)]), needs(requests=1, nanos=7))
                    )
                except Short:
                    continue
                worker.settle(held[-1], needs(requests=1, nanos=7))
                spent += 7
            if not held:
                break
        assert spent == 98
        assert set(await stores[0].scan("tenant:")) >= {key}
        for worker, store in zip(workers, stores, strict=True):
            await worker.stop()
            await store.close()

    run(scene)


def test_keys_that_move_to_another_node_are_followed(nodes: list[Node]) -> None:
    """The slot is given to another master; what was granted stays away until it was compared with the ledger, as with
    any other server.
    """
    slot = nodes[0].ask("CLUSTER", "KEYSLOT", RUNS)
    (old,) = [node for node in nodes if node.ask("CLUSTER", "COUNTKEYSINSLOT", slot)]
    new = next(node for node in nodes if node is not old)

    async def scene() -> None:
        store = await opened(old)
        await store.update(["a"], lambda key, raw: (b"1", None))
        new_id, old_id = new.ask("CLUSTER", "MYID"), old.ask("CLUSTER", "MYID")
        new.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", old_id)
        old.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", new_id)
        keys = old.ask("CLUSTER", "GETKEYSINSLOT", slot, 1000)
        old.ask("MIGRATE", "127.0.0.1", new.port, "", 0, 5000, "KEYS", *keys)
        for node in (new, old, *nodes):
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", new_id)
        with pytest.raises(MeterStoreDown, match="moved to another node"):
            await store.update(["a"], lambda key, raw: (raw, None))
        with pytest.raises(Unreconciled):  # another server than the one that granted
            await store.update(["a"], lambda key, raw: (raw, None))
        await store.reconcile({}, 0)
        assert await store.update(["a"], lambda key, raw: (raw, raw)) == {"a": b"1"}
        await store.close()

    run(scene)

"""The control store on SQLite: how fast keys are made in it, and its log of changes is verified."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from statistics import median

from gateway.config.entries import EntryId
from gateway.store.control.base import NEW, ControlStore, Keep, Put, Verified, Who
from gateway.store.control.opening import open_store
from tests.bench.lab import Lab
from tests.bench.processes import BenchError
from tests.bench.rows import Measured
from tests.bench.stats import spread

KEYS = 1_600
AT_ONCE = 16
CHANGES = 100_000
IN_ONE = 500
TIMES = 5

_TENANT = EntryId("tenant", "", "acme")
_WHO = Who("alice", "alice@example.org", "api", "req_0123456789abcdef")


def measure(lab: Lab) -> Mapping[str, Measured]:
    """Keys one after the other, each as the API makes it (its tenant must be there), then the log filled up."""
    folder = lab.path("control")
    folder.mkdir()

    async def run() -> Mapping[str, Measured]:
        store = open_store("sqlite", folder)
        await store.open()
        try:
            await store.apply([Put(_TENANT, b'{"models":["*"]}', NEW)], _WHO, "", time.time_ns())
            return await _measured(store)
        finally:
            await store.close()

    return asyncio.run(run())


async def _measured(store: ControlStore) -> Mapping[str, Measured]:
    began = time.perf_counter()
    each_ms = [await _make(store, n) for n in range(KEYS)]
    rate = KEYS / (time.perf_counter() - began)
    began = time.perf_counter()
    for first in range(KEYS, 2 * KEYS, AT_ONCE):
        await asyncio.gather(*(_make(store, n) for n in range(first, first + AT_ONCE)))
    together = KEYS / (time.perf_counter() - began)
    took = await _verify(store, 2 * KEYS)
    slow_ms = sorted(each_ms)[KEYS * 99 // 100]
    made = {
        "median_ms": round(median(each_ms), 2),
        "slowest_ms": round(max(each_ms), 2),
        "per_s_16_at_once": round(together),
    }
    return {
        "keys_made_per_s": Measured(rate, made),
        "key_made_p99_ms": Measured(slow_ms, made),
        "changes_100k_verify_s": Measured(median(took), {"verify_s": spread(took), "changes": CHANGES}),
    }


async def _make(store: ControlStore, n: int) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    await store.apply([Keep(_TENANT), _key(n)], _WHO, "", time.time_ns())
    return (time.perf_counter() - began) * 1e3


def _key(n: int) -> Put:
    document = b'{"hash":"sha256:%064x","projects":["search"],"meters":[{"cap":"$1","window":"day"}]}' % n
    return Put(EntryId("key", "acme", f"key-{n}"), document, NEW)


async def _verify(store: ControlStore, made: int) -> list[float]:
    for first in range(made, CHANGES - 1, IN_ONE):
        keys = [_key(n) for n in range(first, min(first + IN_ONE, CHANGES - 1))]
        await store.apply(keys, _WHO, "", time.time_ns())
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        found = await store.verify()
        took.append(time.perf_counter() - began)
        if not isinstance(found, Verified) or found.count != CHANGES:
            raise BenchError(f"the log of changes does not verify: {found}")
    return took

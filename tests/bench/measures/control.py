"""Administration: how fast keys are made by API, and the log of changes is verified."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from statistics import median

from gateway.config.entries import EntryId
from gateway.store.control.base import NEW, ControlStore, Put, Verified, Who
from gateway.store.control.opening import open_store
from tests.bench import lockgate
from tests.bench.lab import Lab
from tests.bench.lockgate import Size
from tests.bench.processes import BenchError, cpu_ns, free_port
from tests.bench.rows import Measured
from tests.bench.stats import spread

KEYS = 1_000
WARM = 50
CLIENTS = 8
CHANGES = 100_000
IN_ONE = 500
TIMES = 5

_WHO = Who("alice", "alice@example.org", "api", "req_0123456789abcdef")
_HEADERS = {"authorization": f"Bearer {lockgate.ADMIN_TOKEN}", "content-type": "application/json"}


def measure_keys(lab: Lab) -> Mapping[str, Measured]:
    """Keys made over HTTP on a running gateway that puts each in force, on any core, as a user has it: one after the
    other by one client on one connection, then by several at once."""
    port = free_port()
    config = lockgate.write_config(lab, Size(), meters={"gateway": ()}, control=port)
    with lockgate.serving(lab, config, core=None) as started, _Client(port) as client:
        client.make("/admin/tenants", {"name": "made", "models": ["*"]})
        client.make("/admin/tenants/made/projects", {"name": "search"})
        for n in range(WARM):
            client.make_key(f"warm-{n}")
        (control,) = started.children(lockgate.CONTROL_MODULE)
        before_ns, began = cpu_ns([control]), time.perf_counter()
        each_ms = [client.make_key(f"key-{n}") for n in range(KEYS)]
        rate = KEYS / (time.perf_counter() - began)
        cpu_us = (cpu_ns([control]) - before_ns) / 1000 / KEYS
        together = _together(port)
    raw = {
        "median_ms": round(median(each_ms), 2),
        "slowest_ms": round(max(each_ms), 2),
        "control_process_cpu_us": round(cpu_us),
        f"per_s_{CLIENTS}_clients": round(together),
    }
    slow_ms = sorted(each_ms)[KEYS * 99 // 100]
    return {"keys_made_per_s": Measured(rate, raw), "key_made_p99_ms": Measured(slow_ms, raw)}


class _Client:
    """One connection to the control listener."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def __enter__(self) -> _Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def make(self, path: str, body: Mapping[str, object]) -> float:
        """Milliseconds until the answer is read. Raises BenchError when it is none."""
        began = time.perf_counter()
        self._connection.request("POST", path, json.dumps(body), _HEADERS)
        answer = self._connection.getresponse()
        text = answer.read()
        took = time.perf_counter() - began
        if answer.status != 201:
            raise BenchError(f"POST {path}: {answer.status} {text[:200]!r}")
        return took * 1e3

    def make_key(self, name: str) -> float:
        """The same of a key with a project and a budget."""
        budget = {"cap": "$1", "window": "day"}
        return self.make("/admin/tenants/made/keys", {"name": name, "projects": ["search"], "meters": [budget]})


def _together(port: int) -> float:
    """Keys a second that several clients make at once."""

    def make(client: int) -> None:
        with _Client(port) as one:
            for n in range(KEYS // CLIENTS):
                one.make_key(f"together-{client}-{n}")

    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as threads:
        list(threads.map(make, range(CLIENTS)))
    return KEYS // CLIENTS * CLIENTS / (time.perf_counter() - began)


def measure_verify(lab: Lab) -> Mapping[str, Measured]:
    """A log of a hundred thousand keys that were made, verified again and again."""
    folder = lab.path("control")
    folder.mkdir()

    async def run() -> list[float]:
        store = open_store("sqlite", folder)
        await store.open()
        try:
            return await _verify(store)
        finally:
            await store.close()

    took = asyncio.run(run())
    return {"changes_100k_verify_s": Measured(median(took), {"verify_s": spread(took), "changes": CHANGES})}


async def _verify(store: ControlStore) -> list[float]:
    for first in range(0, CHANGES, IN_ONE):
        await store.apply([_key(n) for n in range(first, first + IN_ONE)], _WHO, "", time.time_ns())
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        found = await store.verify()
        took.append(time.perf_counter() - began)
        if not isinstance(found, Verified) or found.count != CHANGES:
            raise BenchError(f"the log of changes does not verify: {found}")
    return took


def _key(n: int) -> Put:
    document = b'{"hash":"sha256:%064x","projects":["search"],"meters":[{"cap":"$1","window":"day"}]}' % n
    return Put(EntryId("key", "acme", f"key-{n}"), document, NEW)

"""A metered gateway in front of the real fake server, and what its callers, its records and its meters say."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec

from gateway.backends.base import DIALECTS
from gateway.policy.leases import Leases
from gateway.store.meters_memory import MeterMemory
from gateway.store.records import Record
from tests.support.gateway import KEY, Meters, Running, config, serving
from tests.support.running import until
from tests.support.server_process import ServerProcess

PRICE = {"input": 10_000_000_000, "output": 1_000_000_000_000}
"""10 nano-dollars a token in, 1,000 out."""
MODELS = {"m": {"backend": "b", "served_model": "served", "price": PRICE}}


class Addressed(Protocol):
    """A server, by where it is."""

    @property
    def address(self) -> str: ...


@dataclass(frozen=True)
class At:
    """Any server."""

    address: str


class Metered:
    """A gateway that runs, and a client of the tenant acme."""

    def __init__(self, running: Running, client: httpx.AsyncClient) -> None:
        self.running = running
        self.client = client

    @property
    def leases(self) -> Leases:
        """What the worker leases."""
        leasing = self.running.gw.leasing
        assert leasing is not None
        return leasing.leases

    async def ask(self, text: str = "hi", *, path: str = "/v1/chat/completions", **fields: Any) -> httpx.Response:
        """One call; `fields` go into the body."""
        headers = fields.pop("headers", {})
        said = {"messages": [{"role": "user", "content": text}]} if path != "/v1/completions" else {"prompt": text}
        if path == "/v1/responses":
            said = {"input": text}
        return await self.client.post(path, json={"model": "m", **said, **fields}, headers=headers)

    async def last(self) -> Record:
        """The record of the last request, once nothing runs."""
        await until(lambda: self.running.gw.in_flight == 0, "requests end")
        return self.running.records()[-1]

    def held(self) -> dict[str, int]:
        """What is held of each bucket by requests that run."""
        if self.running.gw.leasing is None:
            return {}
        return {key: bucket.held for key, bucket in self.leases.buckets.items() if bucket.held}

    def spent(self, key: str) -> int:
        """What this worker spent of a bucket."""
        return self.leases.buckets[key].total


@contextlib.asynccontextmanager
async def metering(
    server: Addressed,
    tmp_path: Path,
    meters: Meters | None = None,
    *,
    models: dict[str, dict[str, Any]] | None = None,
    memory: MeterMemory | None = None,
    dialect: str = "fake",
    beside: dict[str, list[str]] | None = None,
    **options: Any,
) -> AsyncIterator[Metered]:
    """Serves in front of the server (the backend `b`), and others `beside` it, until the block ends. When it does
    nothing may be held any more.
    """
    found = config({"b": [server.address], **(beside or {})}, models or MODELS, meters=meters or {}, **options)
    async with serving(found, tmp_path, memory=memory) as running:
        for backend in running.gw.backends.values():
            backend.dialect = DIALECTS[dialect]
        async with httpx.AsyncClient(
            base_url=running.url, headers={"authorization": f"Bearer {KEY}"}, timeout=20
        ) as client:
            metered = Metered(running, client)
            yield metered
        await until(lambda: running.gw.in_flight == 0, "requests end")
        assert metered.held() == {}


def events(answer: bytes) -> list[dict[str, Any]]:
    """The data of every event of a stream, `[DONE]` aside."""
    lines = [line.removeprefix(b"data: ") for line in answer.splitlines() if line.startswith(b"data: ")]
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def text_of(answer: bytes) -> str:
    """What a chat stream said."""
    said = [each["choices"][0]["delta"].get("content") or "" for each in events(answer) if each.get("choices")]
    return "".join(said)


def produced(fake: ServerProcess, request_id: str) -> list[dict[str, Any]]:
    """What the fake made for one request, an entry for each attempt."""
    with fake.client() as client:
        found: dict[str, list[dict[str, Any]]] = client.get("/fake/produced").json()
    return found[request_id]


def usd(nanos: int, window: str = "lifetime", **more: Any) -> dict[str, Any]:
    """A cap of money."""
    return {"cap": f"{nanos} usd", "window": window, **more}


def record_dict(record: Record) -> dict[str, Any]:
    """A record's columns by name, for messages."""
    found: dict[str, Any] = msgspec.to_builtins(msgspec.structs.asdict(record))
    return found

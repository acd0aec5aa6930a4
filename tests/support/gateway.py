"""A gateway's data plane in this process and on a real socket: everything of a worker but its process."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from gateway.backends import base
from gateway.clock import SystemClock
from gateway.config import snapshot as config_snapshot
from gateway.config.archive import digest, encode
from gateway.config.model import Config, Servers, Vllm, kind_of
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.leasing import Leasing
from gateway.dataplane.server import ServerConnection, protocol
from gateway.store import journal_read
from gateway.store.ids import RequestIds
from gateway.store.journal import Journal
from gateway.store.meters_memory import MemoryMeters, MeterMemory
from gateway.store.records import Record

if TYPE_CHECKING:
    from gateway.backends.onnx import Session

Meters: TypeAlias = dict[str, Sequence[Mapping[str, Any]]]
Classic: TypeAlias = "Mapping[str, Mapping[str, Session]]"

KEY = "lg-test-key-of-acme"
OTHER_KEY = "lg-test-key-of-globex"


def config(
    urls: dict[str, list[str]],
    models: dict[str, dict[str, Any]] | None = None,
    *,
    kind: str = "vllm",
    backend: dict[str, Any] | None = None,
    meters: Meters | None = None,
    chain: Sequence[Mapping[str, Any]] = (),
    content: Mapping[str, Any] | None = None,
    **server: Any,
) -> Config:
    """A configuration with backends by name and of one `kind`, models (by default `m` on the first backend, called
    `served` there), and two tenants: acme may use everything, globex only `other/*`. `backend` are further settings of
    every backend; `meters` are those of sections: "gateway", "acme", "acme/app", "acme/project/support";
    `chain` and `content` are those of acme.
    """
    models = models or {"m": {"backend": next(iter(urls)), "served_model": "served"}}
    limits = {name: float(value) if name.endswith("_s") else value for name, value in server.pop("limits", {}).items()}
    hashes = {key: hashlib.sha256(key.encode()).digest() for key in (KEY, OTHER_KEY)}
    meters = meters or {}
    projects = {
        name.removeprefix("acme/project/"): {"meters": entries}
        for name, entries in meters.items()
        if name.startswith("acme/project/")
    }
    acme: dict[str, Any] = {"meters": meters.get("acme", ()), "projects": projects}
    if chain:
        acme["chain"] = "c"
    if content:
        acme["content"] = content
    key = {"meters": meters.get("acme/app", ()), "projects": list(projects)}
    return msgspec.convert(
        {
            "meters": meters.get("gateway", ()),
            "chains": {"c": list(chain)} if chain else {},
            "server": {"limits": limits, **server},
            "backends": {
                name: {"kind": kind, "endpoints": [{"url": url} for url in found], **(backend or {})}
                for name, found in urls.items()
            },
            "models": {alias: {"kind": "backend", **model} for alias, model in models.items()},
            "tenants": {
                "acme": {"models": ["*"], "keys": {"app": {"hash": hashes[KEY], **key}}, **acme},
                "globex": {"models": ["other/*"], "keys": {"app": {"hash": hashes[OTHER_KEY]}}},
            },
        },
        Config,
        builtin_types=(bytes,),
        str_keys=True,
    )


def snapshot_of(found: Config) -> config_snapshot.Snapshot:
    """What the data plane looks up."""
    return config_snapshot.compile(found, digest(encode(found)))


def backends_of(found: Config) -> dict[str, base.Backend]:
    """The backends of a configuration, with nothing connected."""
    backends = {}
    for name, backend in found.backends.items():
        assert isinstance(backend, Servers)
        urls = [endpoint.url for endpoint in backend.endpoints]
        limits, retries = found.server.limits, found.server.retries
        keeps = isinstance(backend, Vllm) and backend.keeps_responses
        backends[name] = base.build(
            name, kind_of(backend), urls, backend.api_key, limits.connect_s, retries.share, keeps
        )
    return backends


def build(found: Config, state_dir: Path, classic: Classic | None = None, memory: MeterMemory | None = None) -> Gateway:
    """A gateway over this configuration, with a journal in `state_dir`; `classic` are its models that run in it, by
    alias and version. Its meters are kept in `memory`, which several may share.
    """
    clock = SystemClock()
    snapshot = snapshot_of(found)
    return Gateway(
        snapshot=snapshot,
        leasing=Leasing(MemoryMeters(memory), f"test:{id(snapshot)}", clock) if snapshot.metered else None,
        backends=backends_of(found),
        journal=Journal.create(state_dir, 0, clock, segment_bytes=2**20),
        ids=RequestIds(b"\x00\x01\x02\x03\x04"),
        clock=clock,
        random=Random(7),
        secret=b"test secret of 32 bytes, or some",
        bugs=Bugs(),
        classic=classic,
    )


class Bugs:
    """Keeps what was reported as a bug: tests want none."""

    def __init__(self) -> None:
        self.seen: list[BaseException] = []

    def bug(self, request_id: str, error: BaseException) -> None:
        self.seen.append(error)


class ServerState:
    """What uvicorn hands to a protocol class."""

    def __init__(self) -> None:
        self.connections: set[Any] = set()


class Running:
    """A gateway that listens on `port`."""

    def __init__(self, gw: Gateway, server: asyncio.Server, state_dir: Path) -> None:
        self.gw = gw
        self.port: int = server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.state_dir = state_dir

    async def raw(self, data: bytes) -> bytes:
        """Sends bytes and returns all that comes back until the gateway closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()

    def records(self) -> list[Record]:
        """Every record closed so far, in order."""
        found = []
        for directory in journal_read.directories(self.state_dir):
            tail = journal_read.Tail(directory)
            found += list(tail.drain())
            tail.close()
        return found


@contextlib.asynccontextmanager
async def serving(
    found: Config, state_dir: Path, classic: Classic | None = None, memory: MeterMemory | None = None
) -> AsyncIterator[Running]:
    """Serves until the block ends; fails when a handler had a bug, or an exception was lost."""
    gw = build(found, state_dir, classic, memory)
    loop = asyncio.get_running_loop()
    lost: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: lost.append(context))
    state = ServerState()
    made = protocol(gw)
    server = await loop.create_server(lambda: made(None, state, None, loop), "127.0.0.1", 0)
    ticking = asyncio.create_task(_tick(gw))
    try:
        yield Running(gw, server, state_dir)
    finally:
        ticking.cancel()
        server.close()
        for connection in list(gw.connections):
            assert isinstance(connection, ServerConnection)
            connection.transport.abort()
        for backend in gw.backends.values():
            backend.close()
        await asyncio.sleep(0)
        await server.wait_closed()
        if gw.leasing is not None:
            await gw.leasing.stop()
        gw.runs.close()
        gw.journal.stop()
        loop.set_exception_handler(None)
    assert not gw.bugs.seen, gw.bugs.seen  # type: ignore[attr-defined]
    assert not lost, lost


async def _tick(gw: Gateway) -> None:
    while True:
        await asyncio.sleep(0.02)
        gw.tick(gw.clock.monotonic_s())


def post(
    body: bytes | dict[str, Any],
    *,
    key: str = KEY,
    path: str = "/v1/chat/completions",
    content_type: bytes = b"application/json",
    extra: bytes = b"",
    close: bool = True,
) -> bytes:
    """A request's bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (
        b"POST %b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\ncontent-type: %b\r\n"
        b"%b%bcontent-length: %d\r\n\r\n%b"
        % (
            path.encode(),
            key.encode(),
            content_type,
            b"connection: close\r\n" if close else b"",
            extra,
            len(data),
            data,
        )
    )


CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {**CHAT, "stream": True}

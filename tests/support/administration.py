"""The administration for a test: its app over a real store, with files and meters in memory, called without a
socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from gateway.clock import ManualClock
from gateway.config import archive, load
from gateway.control import app, calling
from gateway.control.door import App
from gateway.control.issuing import hash_of
from gateway.control.service import Declared, Service
from gateway.store.control.base import ControlStore
from gateway.store.control.opening import open_store
from gateway.store.meters import MeterStore
from gateway.store.meters_memory import MemoryMeters
from gateway.telemetry.logs import Log
from tests.support.control_stores import Site

ROOT_TOKEN = "root-token-of-the-tests-0123456789abcdef"
KEYS = "/tenants/acme/keys"
FILES = """
backends:
  gpu: {kind: vllm, endpoints: [{url: "http://gpu-1:8000"}, {url: "http://gpu-2:8000"}]}
  scripted: {kind: fake}
models:
  small: {backend: scripted, price: free}
  large: {backend: gpu, price: {input: $1/1M, output: $2/1M}}
tenants:
  filed:
    models: ["*"]
    meters: [{cap: $100, window: month}]
    projects: {docs: {}}
    keys: {old: {hash: "sha256:1111111111111111111111111111111111111111111111111111111111111111", projects: [docs]}}
chains:
  standard: [{check: keywords, phase: input, action: block, words: [bomb]}]
"""
"""What the files declare."""


class Answer(NamedTuple):
    """An answer of the administration."""

    status: int
    headers: Mapping[str, str]
    json: Any

    @property
    def code(self) -> str:
        """Of an error."""
        return str(self.json["error"]["code"])

    @property
    def message(self) -> str:
        """Of an error."""
        return str(self.json["error"]["message"])


class Administration:
    """The app, and the parts it stands on."""

    def __init__(self, service: Service, built: App, clock: ManualClock, lines: list[bytes]) -> None:
        self.service = service
        self.app = built
        self.clock = clock
        self.lines = lines

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = ROOT_TOKEN,
        client: str = "127.0.0.1",
        **headers: str,
    ) -> Answer:
        """One request under /admin; underscores in header names become dashes."""
        written = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            written["authorization"] = f"Bearer {token}"
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        status, found, answer = await calling.call(self.app, method, f"/admin{path}", raw, written, client)
        return Answer(status, found, json.loads(answer) if found["content-type"] == "application/json" else answer)

    async def made(self, path: str, body: Any, **headers: str) -> Any:
        """Makes something with a POST; the answer's body."""
        answer = await self.ask("POST", path, body, **headers)
        assert answer.status in (200, 201), answer
        return answer.json

    async def token_of(self, name: str, role: str, tenant: str | None = None) -> str:
        """The token of a new principal."""
        made = await self.made("/principals", {"name": name, "roles": [{"role": role, "tenant": tenant}]})
        return str(made["token"])

    def events(self, name: str) -> list[dict[str, Any]]:
        """What was logged."""
        return [each for each in map(json.loads, self.lines) if each["event"] == name]


@contextlib.asynccontextmanager
async def administration(
    state_dir: Path,
    files: str = FILES,
    *,
    url: str = "sqlite",
    store: ControlStore | None = None,
    meters: MeterStore | None = None,
    ops_url: str | None = None,
) -> AsyncIterator[Administration]:
    """An administration of a gateway whose files say `files`, over the store at `url` if not another is given."""
    folder = state_dir / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gateway.yaml").write_text(files)
    found = load.load_with_places(folder, environ={})
    archive.write(state_dir, archive.encode(found.config))

    async def declared() -> Declared:
        return Declared(found.config, found.places)

    used = store or open_store(url, state_dir)
    await used.open()
    clock, lines = ManualClock(), list[bytes]()
    service = Service(
        store=used,
        declared=declared,
        meters=meters or MemoryMeters(),
        state_dir=state_dir,
        ops_url=ops_url,
        environ={},
        clock=clock,
        log=Log(clock, write=lines.append),
    )
    try:
        yield Administration(service, app.build(service, hash_of(ROOT_TOKEN)), clock, lines)
    finally:
        await used.close()


def on(place: Site, work: Callable[[Administration], Awaitable[None]], **parts: Any) -> None:
    """Does `work` with an administration that has the tenant acme in its store, and filed in its files."""

    async def run() -> None:
        async with administration(place.folder, url=place.url, **parts) as admin:
            await admin.made("/tenants", {"name": "acme", "models": ["*"]})
            await work(admin)

    asyncio.run(run())


def quoted(part: str) -> str:
    """A part of a path."""
    return quote(part, safe="")

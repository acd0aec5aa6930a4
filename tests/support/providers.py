"""The process behind `kind: provider` for a test: litellm in its own environment, asking a server of the test's own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.ports import free_port
from tests.support.provider_formats import KEY
from tests.support.running import until
from tests.support.server_process import ROOT, address_of
from tests.support.upstream import Script, Upstream

PYTHON = ROOT / ".venv-providers/bin/python"
"""litellm wants an older major version of the openai package than the tests, so it has an environment of its own."""

VARIABLE = "TEST_PROVIDER_KEY"


def require() -> None:
    """Skips where the environment is missing."""
    if not PYTHON.exists():
        pytest.skip("the environment of litellm is missing (`make setup-providers`)")


def environment(**more: str) -> dict[str, str]:
    """What such a process is started with: the key, and variables that must have no effect."""
    decoys = {"OPENAI_API_KEY": "sk-decoy", "OPENAI_BASE_URL": "http://127.0.0.1:9", "ANTHROPIC_API_KEY": "sk-decoy"}
    return {**os.environ, **decoys, "PYTHONPATH": str(ROOT), VARIABLE: KEY, **more}


@dataclass
class Child:
    """A process that asks the provider at `port`; `printed` is the file with all it says but where it listens."""

    process: subprocess.Popen[bytes]
    socket: str
    port: int
    printed: Path


@contextlib.contextmanager
def child(folder: Path, provider: str, *before: str, **settings: Any) -> Iterator[Child]:
    """Starts one for a backend with these settings; by default it asks a port of this machine with `KEY`. `before` are
    arguments for Python instead of the module to run."""
    require()
    port = free_port()
    path = "/v1" if provider == "openai" else ""
    api_base = f"http://127.0.0.1:{port}{path}"
    backend = {"kind": "provider", "provider": provider, "api_base": api_base, "api_key": f"${{{VARIABLE}}}"} | settings
    written = json.dumps({name: value for name, value in backend.items() if value is not None})
    printed = folder / "printed"
    with printed.open("wb") as errors:
        process = subprocess.Popen(
            [PYTHON, "-P", *(before or ("-m", "gateway.backends.provider")), "--socket", str(folder / "p.sock")],
            cwd=folder,
            env=environment(LOCKGATE_PROVIDER=written),
            stdout=subprocess.PIPE,
            stderr=errors,
        )
    try:
        yield Child(process, address_of(process).removeprefix("unix:"), port, printed)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@dataclass
class Asked:
    """A child and the provider it asks."""

    client: httpx.AsyncClient
    upstream: Upstream

    async def post(self, body: dict[str, Any], endpoint: str = "chat/completions") -> httpx.Response:
        return await self.client.post(f"/v1/{endpoint}", json=body)

    async def frames(self, body: dict[str, Any], endpoint: str = "chat/completions") -> tuple[list[Any], bool]:
        """The frames of a stream, and whether it came to its end."""
        found: list[Any] = []
        options = {"stream": True, "stream_options": {"include_usage": True}}
        try:
            async with self.client.stream("POST", f"/v1/{endpoint}", json={**body, **options}) as answer:
                assert answer.status_code == 200, await answer.aread()
                async for line in answer.aiter_lines():
                    if line == "data: [DONE]":
                        return found, True
                    if line:
                        found.append(json.loads(line.removeprefix("data: ")))
        except httpx.RemoteProtocolError:
            pass
        return found, False


@contextlib.asynccontextmanager
async def asking(served: Child, *scripts: Script) -> AsyncIterator[Asked]:
    """A provider at the child's port, whose requests are answered by `scripts`, and a client of the child."""
    async with Upstream(list(scripts), served.port) as upstream:
        transport = httpx.AsyncHTTPTransport(uds=served.socket)
        async with httpx.AsyncClient(transport=transport, base_url="http://provider", timeout=20) as client:
            yield Asked(client, upstream)


async def until_left(upstream: Upstream) -> None:
    """Waits until the connection to the provider was closed by the child."""
    await until(upstream.aborted.is_set, "the connection to the provider is closed")

"""Arize Phoenix, a real receiver of OTLP that shows what it understood: a server of its own for a test."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway_process import ROOT, until
from tests.support.ports import free_port

COMMAND = ROOT / ".venv-phoenix/bin/phoenix"
"""It is large (855 MB), and asks for other versions of what the tests use."""

READY_S = 120.0
STOP_S = 20.0


@dataclass(frozen=True)
class Phoenix:
    """One that runs. `endpoints` are what `telemetry.otlp.endpoint` takes, by protocol."""

    url: str
    endpoints: dict[str, str]

    def spans(self) -> list[dict[str, Any]]:
        """Everything it has, as its API tells it."""
        answer = _get(f"{self.url}/v1/projects/default/spans?limit=1000")
        found: list[dict[str, Any]] = answer.json()["data"] if answer.status_code == 200 else []
        return found


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Phoenix]:
    """Runs one with its state in `folder`; it connects to nothing."""
    if not COMMAND.exists():
        pytest.skip("the environment of Phoenix is missing (`make setup-phoenix`)")
    port, grpc_port = free_port(), free_port()
    folder.mkdir()
    settings = {
        "PHOENIX_WORKING_DIR": str(folder),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    url = f"http://127.0.0.1:{port}"
    log = folder / "log"
    with log.open("wb") as printed:
        process = subprocess.Popen(
            [COMMAND, "serve"], env={**os.environ, **settings}, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed
        )
    try:
        until(lambda: _ready(process, url, log), "Phoenix to serve", READY_S)
        yield Phoenix(url, {"http": url, "grpc": f"http://127.0.0.1:{grpc_port}"})
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ready(process: subprocess.Popen[bytes], url: str, log: Path) -> bool:
    assert process.poll() is None, log.read_text()
    try:
        return _get(f"{url}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def _get(url: str) -> httpx.Response:
    with httpx.Client(timeout=60, verify=False, trust_env=False) as client:
        return client.get(url)

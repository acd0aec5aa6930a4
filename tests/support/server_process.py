"""One of the servers we ship (`python -m gateway.backends.…`) as a process of its own, stopped when the test ends."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
START_S = 60.0
STOP_S = 10.0


@dataclass(frozen=True)
class ServerProcess:
    """A server that listens at `address` (`unix:/path` or `http://host:port`)."""

    process: subprocess.Popen[bytes]
    address: str

    def client(self) -> httpx.Client:
        """A client whose relative URLs go to the server."""
        if self.address.startswith("unix:"):
            transport = httpx.HTTPTransport(uds=self.address.removeprefix("unix:"))
            return httpx.Client(transport=transport, base_url="http://server", timeout=60)
        return httpx.Client(base_url=self.address, timeout=60)

    def stop(self) -> int:
        """SIGTERM; the return code."""
        self.process.terminate()
        return self.process.wait(STOP_S)


@contextmanager
def serving(module: str, *arguments: str, cwd: Path = ROOT) -> Iterator[ServerProcess]:
    """Runs `python -m module arguments` until it listens; AssertionError with what it said when it ends first."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=cwd, env=environ) as process:
        try:
            yield ServerProcess(process, address_of(process))
        finally:
            process.kill()


@contextmanager
def scripted_fake(folder: Path, script: str) -> Iterator[ServerProcess]:
    """The fake backend under this script, which is put into `folder`."""
    path = folder / "script.yaml"
    path.write_text(script)
    with serving("gateway.backends.fake", "--script", str(path)) as server:
        yield server


def address_of(process: subprocess.Popen[bytes]) -> str:
    """The address that `process` says it listens at, on its stdout."""
    assert process.stdout is not None
    said = b""
    end = time.monotonic() + START_S
    while True:
        for line in said.decode().splitlines(keepends=True):
            if line.startswith("listening ") and line.endswith("\n"):
                return line.split()[1]
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
        data = os.read(process.stdout.fileno(), 4096) if readable else b""
        assert data, f"it does not listen and said: {said.decode()}"
        said += data

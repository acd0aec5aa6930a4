"""A real gateway for a test: `lockgate serve` as processes of its own, on ephemeral ports, stopped when the test
ends."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]
KEY = "lg-test-key-of-acme"
"""The one key of `minimal()`: tenant acme, all models."""

START_S = 90.0
STOP_S = 60.0

T = TypeVar("T")


def minimal(**sections: Any) -> dict[str, Any]:
    """A configuration with one fake backend `scripted`, the model `small` on it and the tenant acme; `sections` replace
    its own."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    return {
        "server": {"workers": 1},
        "backends": {"scripted": {"kind": "fake"}},
        "models": {"small": {"backend": "scripted"}},
        "tenants": {"acme": {"models": ["*"], "keys": {"app": {"hash": f"sha256:{digest}"}}}},
        **sections,
    }


def write(folder: Path, configuration: Mapping[str, Any]) -> None:
    """Writes `configuration` as the folder's one file, whole (JSON is YAML); ports that are not given are ephemeral."""
    server = {"bind": "127.0.0.1:0", "ops": "127.0.0.1:0", **configuration.get("server", {})}
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / ".draft"
    draft.write_text(json.dumps({**configuration, "server": server}), encoding="utf-8")
    draft.replace(folder / "gateway.yaml")


def until(look: Callable[[], T | None], what: str, limit_s: float = 60.0) -> T:
    """Calls `look` until it returns something true, which is returned; AssertionError naming `what` after `limit_s`."""
    end = time.monotonic() + limit_s
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit_s:.0f} s: {what}")
        time.sleep(0.02)  # between two looks, not instead of one


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class GatewayProcess:
    """A running `lockgate serve`: `data` and `ops` are its URLs, `state_dir` and `folder` (its configuration) its
    files."""

    def __init__(self, folder: Path, state_dir: Path, log: Path, process: subprocess.Popen[bytes]) -> None:
        self.folder = folder
        self.state_dir = state_dir
        self.log = log
        self.process = process
        self.data = ""
        self.ops = ""

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_ready(self) -> None:
        """Waits for the ready line, which must be all there is on stdout."""
        assert self.process.stdout is not None
        end = time.monotonic() + START_S
        line = b""
        while not line.endswith(b"\n"):
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 4096) if readable else b""
            if not data:
                self.kill()
                raise AssertionError(f"not ready; it printed {line!r} and logged:\n{self.logged()}")
            line += data
        word, url = line.decode().split()
        assert word == "ready", line
        self.data = url
        self.ops = str(json.loads((self.state_dir / "run" / "gateway.json").read_bytes())["ops"])

    def request(
        self, method: str, path: str, body: bytes | None = None, *, ops: bool = False, **headers: str
    ) -> Answer:
        """One request on a connection of its own; underscores in header names become dashes."""
        connection = self.connect(ops=ops)
        with contextlib.closing(connection):
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def connect(self, *, ops: bool = False) -> http.client.HTTPConnection:
        """A connection to the data listener, or the ops listener."""
        url = urlsplit(self.ops if ops else self.data)
        return http.client.HTTPConnection(url.hostname or "", url.port, timeout=20)

    def chat(self, text: str = "hello", model: str = "small", key: str = KEY) -> Answer:
        """One chat request, not streamed."""
        return self.request("POST", "/v1/chat/completions", chat_body(text, model), authorization=f"Bearer {key}")

    def readiness(self) -> Any:
        """What /readyz says."""
        return self.request("GET", "/readyz", ops=True).json

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """The events logged so far, or those of one name; a line that is still being written is not one yet."""
        lines = self.log.read_text(encoding="utf-8").splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]
        return [each for each in found if name is None or each.get("event") == name]

    def until_event(self, name: str, count: int = 1) -> list[dict[str, Any]]:
        """Waits until at least `count` events of that name are logged; returns them."""
        try:
            return until(lambda: found if len(found := self.events(name)) >= count else None, f"{count} × event {name}")
        except AssertionError as error:
            raise AssertionError(f"{error}; logged:\n{self.logged()}") from None

    def logged(self) -> str:
        """The last part of what went to stderr."""
        return self.log.read_text(encoding="utf-8", errors="replace")[-8000:]

    def wait(self, limit_s: float = STOP_S) -> int:
        """Waits for the end; returns the exit code."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the gateway did not end within {limit_s:.0f} s; logged:\n{self.logged()}") from None

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """Ends it at once; its workers and children notice."""
        self.process.kill()
        self.process.wait()

    def worker_pids(self) -> list[int]:
        """The process of each slot, as last reported ready."""
        slots = {each["slot"]: int(each["pid"]) for each in self.events("worker_ready")}
        return [slots[slot] for slot in sorted(slots)]

    def keeper_pid(self) -> int | None:
        """The keeper's process, if it runs now."""
        return next((pid for pid in descendants(self.pid) if _runs(pid, b"gateway.runtime.keeper")), None)

    def child_pids(self) -> list[int]:
        """The servers beside the workers."""
        return sorted(
            set(descendants(self.pid))
            - {*self.worker_pids(), self.keeper_pid(), self.control_pid(), self.checks_pid(), self.exporter_pid()}
        )

    def control_pid(self) -> int | None:
        """The control process, if it runs now."""
        return next((pid for pid in descendants(self.pid) if _runs(pid, b"gateway.runtime.control_process")), None)

    def checks_pid(self) -> int | None:
        """The check process, if it runs now."""
        return next((pid for pid in descendants(self.pid) if _runs(pid, b"gateway.runtime.checker")), None)

    def exporter_pid(self) -> int | None:
        """The exporter of spans, if it runs now."""
        return next((pid for pid in descendants(self.pid) if _runs(pid, b"gateway.runtime.exporter")), None)


def _runs(pid: int, module: bytes) -> bool:
    try:
        return module in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def chat_body(text: str = "hello", model: str = "small", **more: Any) -> bytes:
    """The body of a chat request with one message."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": text}], **more}).encode()


def descendants(pid: int) -> list[int]:
    """All processes below `pid` that live now."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    parents.setdefault(int(fields[1]), []).append(int(entry.name))
    found, ahead = [], [pid]
    while ahead:
        children = parents.get(ahead.pop(), [])
        found += children
        ahead += children
    return found


def lives(pid: int) -> bool:
    """Does the process run (a zombie does not)?"""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def launch(
    folder: Path,
    state_dir: Path,
    *flags: str,
    environment: Mapping[str, str] | None = None,
    python: Path | str = sys.executable,
) -> GatewayProcess:
    """Starts `lockgate serve` on a written configuration and returns at once; the caller stops it."""
    log = state_dir.with_name(state_dir.name + ".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LOCKGATE_")}
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [python, "-m", "gateway", "serve", "--config", folder, "--state-dir", state_dir, *flags],
            cwd=ROOT,
            env={**inherited, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    return GatewayProcess(folder, state_dir, log, process)


@contextlib.contextmanager
def serving(
    root: Path,
    configuration: Mapping[str, Any] | None = None,
    *flags: str,
    environment: Mapping[str, str] | None = None,
    python: Path | str = sys.executable,
) -> Iterator[GatewayProcess]:
    """A gateway that is ready, under the folder `root` (a test's `tmp_path`); stopped afterwards, and by force if need
    be."""
    write(root / "config", minimal() if configuration is None else configuration)
    gateway = launch(root / "config", root / "state", *flags, environment=environment, python=python)
    try:
        gateway.wait_ready()
        yield gateway
        gateway.stop()
    finally:
        below = descendants(gateway.pid) if gateway.process.poll() is None else []
        gateway.kill()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if gateway.process.stdout is not None:
            gateway.process.stdout.close()

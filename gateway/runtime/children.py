"""The servers that run beside the gateway for `embedded`, `provider` and `fake` backends: started, awaited,
restarted, replaced, stopped.

Each listens on a unix socket whose path follows from the backend's name and configuration, so a worker can compute it,
and a changed backend comes up beside its old self before any request moves over.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import msgspec

from gateway.backends import embedded_models, provider_extra
from gateway.clock import within
from gateway.config.model import Backend, Embedded, Fake, Provider
from gateway.runtime.backoff import Backoff
from gateway.runtime.failures import StartFailed
from gateway.runtime.processes import Process, Processes, describe_end
from gateway.runtime.state_dir import StateDir, make_socket_folder, socket_path
from gateway.telemetry.logs import Log

START_PATIENCE_S = 60.0
"""How long a child may take until it listens (a model of a few hundred megabytes from a cold disk)."""

STOP_PATIENCE_S = 5.0
"""How long a child may take to end on SIGTERM; it has nothing to finish by then."""

LOG_BYTES = 4 << 20
"""What a child printed is kept in two files of at most about this size."""

KEPT_LINES = 5
Hosted: TypeAlias = Embedded | Provider | Fake
"""The backends that are served from here."""

LISTENING = re.compile(rb"\blistening (?:unix:/|http://)")


def address(state_dir: Path, name: str, backend: Hosted) -> str:
    """`unix:///path` of the child that serves `backend`: what a worker connects to."""
    return f"unix://{socket_path(state_dir, name, _version(backend))}"


def _version(backend: Backend) -> str:
    return hashlib.sha256(msgspec.json.encode(backend)).hexdigest()[:8]


def _arguments(backend: Hosted, socket: Path) -> list[str]:
    if isinstance(backend, Embedded):
        return embedded_models.arguments(backend.model, f"unix://{socket}")
    if isinstance(backend, Provider):
        return provider_extra.arguments(str(socket))
    script = () if backend.script is None else ("--script", backend.script)
    return ["-m", "gateway.backends.fake", *script, "--socket", str(socket), "--parent", str(os.getpid())]


def _environment(backend: Hosted) -> dict[str, str]:
    """What a child's environment has beyond ours. A provider's configuration goes there, as written, with the key or
    the variable's name: arguments can be seen by everyone on the machine."""
    return {provider_extra.VARIABLE: msgspec.json.encode(backend).decode()} if isinstance(backend, Provider) else {}


class Child:
    """One backend's server under one configuration. It is restarted at the same address for as long as it is wanted."""

    def __init__(self, processes: Processes, state_dir: StateDir, log: Log, name: str, backend: Hosted) -> None:
        self.name = name
        self.socket = socket_path(state_dir.path, name, _version(backend))
        self.listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._processes = processes
        self._log = log
        self._arguments = _arguments(backend, self.socket)
        self._environment = _environment(backend)
        self._output = state_dir.run / f"{name}.log"
        self._wanted = True
        self._process: Process | None = None
        self._backoff = Backoff()
        self._partial = b""
        self._last_lines: deque[bytes] = deque(maxlen=KEPT_LINES)
        self._start()

    async def stop(self) -> None:
        """Ends it for good."""
        self._wanted = False
        if self._process is not None:
            await self._process.stop(STOP_PATIENCE_S)
        with contextlib.suppress(FileNotFoundError):
            self.socket.unlink()
        if not self.listening.done():
            self.listening.cancel()

    def _start(self) -> None:
        if not self._wanted:
            return
        try:
            make_socket_folder(self.socket)
            process = self._processes.start(
                self._arguments,
                piped=True,
                environment=self._environment,
                on_end=lambda code: self._ended(process, code),
            )
        except OSError as error:
            self._log.error("child_start_failed", backend=self.name, error=str(error))
            asyncio.get_running_loop().call_later(self._backoff.ended(0.0) or 1.0, self._start)
            return
        self._process = process
        assert process.output_fd is not None
        asyncio.get_running_loop().add_reader(process.output_fd, self._read, process, process.output_fd)

    def _read(self, process: Process, fd: int) -> None:
        try:
            data = os.read(fd, 65536)
        except OSError:
            data = b""
        if not data:
            self._close_output(process)
            return
        self._keep(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        self._partial = self._partial[-4096:]
        self._last_lines.extend(line for line in lines if line.strip())
        if not self.listening.done() and any(LISTENING.search(line) for line in lines):
            self.listening.set_result(None)

    def _keep(self, data: bytes) -> None:
        try:
            if self._output.exists() and self._output.stat().st_size > LOG_BYTES:
                self._output.replace(self._output.with_suffix(".log.1"))
            with self._output.open("ab") as file:
                file.write(data)
        except OSError as error:  # a full disk must not stop us from emptying the pipe, or the child would block on it
            self._log.warning("child_log_failed", backend=self.name, error=str(error))

    def _close_output(self, process: Process) -> None:
        if process.output_fd is not None:
            asyncio.get_running_loop().remove_reader(process.output_fd)
            process.close_output()

    def _ended(self, process: Process, code: int) -> None:
        if process.output_fd is not None:
            os.set_blocking(
                process.output_fd, False
            )  # a grandchild may hold the other end: take what is there, wait for nothing
            self._read(process, process.output_fd)
            self._close_output(process)
        say = self._log.error if self._wanted else self._log.info
        say("child_ended", backend=self.name, pid=process.pid, end=describe_end(code), kept_in=str(self._output))
        if not self._wanted:
            return
        if not self.listening.done():
            last = b" | ".join(self._last_lines).decode("utf-8", "replace") or "it printed nothing"
            self._wanted = False
            self.listening.set_exception(
                StartFailed(
                    f"backend {self.name!r}: its server ended with {describe_end(code)} before it listened: {last}"
                )
            )
            return
        asyncio.get_running_loop().call_later(self._backoff.ended(process.lived_s), self._start)


class Children:
    """All children, by the address they serve at."""

    def __init__(self, processes: Processes, state_dir: StateDir, log: Log) -> None:
        self._processes = processes
        self._log = log
        self._state_dir = state_dir
        self._running: dict[str, Child] = {}
        self._wanted: set[str] = set()

    async def start(self, backends: Mapping[str, Backend]) -> None:
        """Starts what `backends` needs and does not run yet; returns when all listen.

        Raises `StartFailed` when one does not, and stops again what it had started: what ran before is untouched.
        """
        new = self._missing(backends)
        self._running.update(new)
        waiting = [within(asyncio.shield(child.listening), START_PATIENCE_S) for child in new.values()]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for child, result in zip(new.values(), results, strict=True):
            if result is None:
                continue
            for key in new:
                self._running.pop(key, None)
            await asyncio.gather(*(each.stop() for each in new.values()))
            if isinstance(result, TimeoutError):
                raise StartFailed(f"backend {child.name!r}: its server did not listen within {START_PATIENCE_S:.0f} s")
            raise result

    async def retire(self, backends: Mapping[str, Backend], grace_s: float) -> None:
        """After `grace_s`, in which running requests end, stops what `backends` (the configuration now) does not
        need."""
        self._wanted = set(self._needed(backends))
        unneeded = [key for key in self._running if key not in self._wanted]
        if not unneeded:
            return
        await asyncio.sleep(grace_s)
        for key in unneeded:
            if key in self._wanted:  # a later reload brought it back
                continue
            child = self._running.pop(key, None)
            if child is not None:
                self._log.info("child_retired", backend=child.name)
                await child.stop()

    async def stop(self) -> None:
        """Stops all."""
        running, self._running = self._running, {}
        await asyncio.gather(*(child.stop() for child in running.values()))

    def _needed(self, backends: Mapping[str, Backend]) -> dict[str, tuple[str, Hosted]]:
        return {
            address(self._state_dir.path, name, backend): (name, backend)
            for name, backend in backends.items()
            if isinstance(backend, Hosted)
        }

    def _missing(self, backends: Mapping[str, Backend]) -> dict[str, Child]:
        return {
            key: Child(self._processes, self._state_dir, self._log, name, backend)
            for key, (name, backend) in self._needed(backends).items()
            if key not in self._running
        }

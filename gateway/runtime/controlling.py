"""The supervisor's side of the control process: starts it where there is an admin token, and again when it ends.

Traffic does not depend on it, nor does readiness: while it is away nothing can be administered, and all else goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from importlib.util import find_spec
from pathlib import Path

import msgspec

from gateway.config import units
from gateway.config.model import Config, Overrides
from gateway.runtime import sockets
from gateway.runtime.backoff import Backoff
from gateway.runtime.failures import StartFailed
from gateway.runtime.processes import Process, Processes, describe_end
from gateway.telemetry.logs import Level, Log
from gateway.telemetry.status import ControlStatus

STOP_PATIENCE_S = 5.0
"""How long it may take to end what it answers."""


class ControlStart(msgspec.Struct, frozen=True, kw_only=True):
    """What the control process is started with: the one argument of `python -m gateway.runtime.control_process`, as
    JSON."""

    state_dir: str
    folder: str
    """The configuration's, absolute."""
    overrides: Overrides
    store: str
    """`stores.control`, as it is written."""
    meters: str
    """`stores.meters`, as it is written."""
    listen_fd: int
    control_fd: int
    """A socket; when its other end is closed, the supervisor is gone."""
    token: str
    """`sha256:` and the hexadecimal digits of the admin token's SHA-256."""
    ops: str
    """The URL of the ops listener."""
    log_level: Level


def missing() -> str | None:
    """What keeps administration from being offered here, with the command that installs it; None when nothing does."""
    if find_spec("fastapi") is not None:
        return None
    return "the control listener needs fastapi, not installed here: pip install 'lockgate[control]'"


def hold(config: Config) -> socket.socket | None:
    """The listening socket of the control process; None where it is off. Raises StartFailed."""
    control = config.server.control
    if control is None or _token(config) is None:
        return None
    lacking = missing()
    if lacking is not None:
        raise StartFailed(f"server.control: {lacking}")
    return sockets.listen_alone(*units.split_address(control.bind))


def _token(config: Config) -> str | None:
    """The hash of the admin token; None where there is none."""
    control = config.server.control
    if control is None or control.admin_token is None or units.is_unset(control.admin_token, os.environ):
        return None
    token = units.resolve_env(control.admin_token, os.environ)
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


class Controlling:
    """The control process, for the life of the gateway."""

    def __init__(
        self,
        processes: Processes,
        folder: Path,
        overrides: Overrides,
        state_dir: Path,
        config: Config,
        log: Log,
        status: ControlStatus,
    ) -> None:
        self._processes = processes
        self._folder = folder
        self._overrides = overrides
        self._state_dir = state_dir
        self._config = config
        self._log = log
        self._status = status
        self._backoff = Backoff()
        self._wanted = True
        self._process: Process | None = None
        self._held: socket.socket | None = None
        """Our end of its control socket: closed with us, whatever ends us."""
        self._listener: socket.socket | None = None
        self._ops = ""

    def start(self, listener: socket.socket | None, ops: str) -> None:
        """Starts it on `listener`, and says so; or says that it is off. `ops`: the URL of the ops listener."""
        self._listener, self._ops = listener, ops
        if listener is None:
            why = "there is no server.control" if self._config.server.control is None else "there is no admin token"
            self._log.info("control_off", reason=why)
        else:
            self._start()

    async def stop(self) -> None:
        """Ends it."""
        self._wanted = False
        if self._process is not None:
            await self._process.stop(STOP_PATIENCE_S)
        for each in (self._held, self._listener):
            if each is not None:
                each.close()

    def _start(self) -> None:
        token = _token(self._config)
        if not self._wanted or self._listener is None or token is None:
            return
        ours, theirs = socket.socketpair()
        start = ControlStart(
            state_dir=str(self._state_dir),
            folder=str(self._folder.absolute()),
            overrides=self._overrides,
            store=self._config.stores.control,
            meters=self._config.stores.meters,
            listen_fd=self._listener.fileno(),
            control_fd=theirs.fileno(),
            token=token,
            ops=self._ops,
            log_level=self._config.telemetry.log_level,
        )
        try:
            process = self._processes.start(
                ["-m", "gateway.runtime.control_process", msgspec.json.encode(start).decode()],
                pass_fds=(start.listen_fd, start.control_fd),
                on_end=lambda code: self._ended(process, code),
            )
        except OSError as error:
            ours.close()
            self._log.error("control_start_failed", error=str(error))
            asyncio.get_running_loop().call_later(self._backoff.ended(0.0) or 1.0, self._start)
            return
        finally:
            theirs.close()
        self._process, self._held = process, ours
        self._status.up = True
        self._log.info("control_started", pid=process.pid, control=sockets.url_of(self._listener))

    def _ended(self, process: Process, code: int) -> None:
        self._status.up = False
        if self._held is not None:
            self._held.close()
            self._held = None
        if not self._wanted:
            return
        self._log.error("control_ended", pid=process.pid, end=describe_end(code))
        asyncio.get_running_loop().call_later(self._backoff.ended(process.lived_s), self._start)

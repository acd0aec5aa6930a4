"""The supervisor's side of the exporter of spans: starts it once a configuration says where spans go, tells it of
another, starts it again when it ends. Traffic does not depend on it."""

from __future__ import annotations

import asyncio

import msgspec

from gateway.config.model import Config
from gateway.runtime import connected
from gateway.runtime.control_channel import Drain, Exported, Reload
from gateway.runtime.processes import Processes
from gateway.runtime.state_dir import StateDir
from gateway.telemetry.logs import Level, Log
from gateway.telemetry.status import SpansStatus

STOP_PATIENCE_S = 5.0
"""How long it may take, when the gateway ends, to send what is there. What it does not get to is sent at the next
start."""


class ExportStart(msgspec.Struct, frozen=True):
    """What the exporter is started with: the one argument of `python -m gateway.runtime.exporter`, as JSON."""

    control_fd: int
    state_dir: str
    digest: str
    log_level: Level


class Exporting:
    """The exporter's process, for the life of the gateway."""

    def __init__(
        self, processes: Processes, state_dir: StateDir, log: Log, log_level: Level, status: SpansStatus
    ) -> None:
        self._state_dir = state_dir
        self._log_level = log_level
        self._status = status
        self._digest = ""
        self._written: object = None
        """The sections of the configuration that it looks at."""
        self._lasting = connected.Lasting(
            processes, log, "exporter", "gateway.runtime.exporter", self._what, Exported, self._heard, self._away
        )

    @property
    def pid(self) -> int | None:
        """Of the process now."""
        return None if self._lasting.process is None else self._lasting.process.pid

    def take(self, config: Config, digest: str) -> None:
        """A configuration is in force."""
        written = (config.telemetry.otlp, config.backends, config.models)
        if written == self._written:
            return  # what is made by API changes several times a second
        self._written = written
        self._digest = digest
        self._lasting.send(Reload(digest))
        if config.telemetry.otlp is not None:
            self._lasting.start()

    async def stop(self) -> None:
        """Lets it send what is there, and ends it."""
        process = self._lasting.leave()
        if process is not None:
            self._lasting.send(Drain())
            await asyncio.wait([process.ended], timeout=STOP_PATIENCE_S)
            if not process.ended.done():
                await process.stop(0.0)

    def _what(self, control_fd: int) -> ExportStart:
        return ExportStart(control_fd, str(self._state_dir.path), self._digest, self._log_level)

    def _heard(self, message: Exported) -> None:
        self._status.told(message.sent, message.lost, message.up)

    def _away(self) -> None:
        self._status.up = False

"""The supervisor's side of the keeper: starts it, listens to it, starts it again when it ends. Traffic does not depend
on it: while it is away journals are kept, and what dead workers held from meters counts as spent."""

from __future__ import annotations

import asyncio
import time

import msgspec

from gateway.clock import wall_offset_ns
from gateway.config.model_meters import RecordStore, Stores
from gateway.runtime import connected
from gateway.runtime.control_channel import Drain, Kept, Look, Reload
from gateway.runtime.processes import Processes
from gateway.runtime.state_dir import StateDir
from gateway.telemetry.logs import Level, Log
from gateway.telemetry.status import Status

STOP_PATIENCE_S = 20.0
"""How long the keeper may take, when the gateway ends, to put the last records into the ledger. What it does not get to
is done at the next start."""


class KeeperStart(msgspec.Struct, frozen=True):
    """What the keeper is started with: the one argument of `python -m gateway.runtime.keeper`, as JSON."""

    control_fd: int
    state_dir: str
    digest: str
    log_level: Level
    meters: str
    """`stores.meters` as it was when the gateway started."""
    wall_offset_ns: int
    """As for workers."""
    records: RecordStore = RecordStore()
    """`stores.records` as it was when the gateway started."""


class Keeping:
    """The keeper's process, for the life of the gateway."""

    def __init__(
        self, processes: Processes, state_dir: StateDir, log: Log, log_level: Level, stores: Stores, status: Status
    ) -> None:
        self._state_dir = state_dir
        self._log = log
        self._log_level = log_level
        self._stores = stores
        self._wall_offset_ns = wall_offset_ns()
        self._status = status.keeper
        self._whole_s = time.monotonic()
        self._digest = ""
        self._lasting = connected.Lasting(
            processes, log, "keeper", "gateway.runtime.keeper", self._what, Kept, self._heard
        )

    @property
    def pid(self) -> int | None:
        """Of the process now."""
        return None if self._lasting.process is None else self._lasting.process.pid

    def start(self, digest: str) -> None:
        """Starts it, under the archived configuration `digest`."""
        self._digest = digest
        self._lasting.start()

    def reload(self, digest: str) -> None:
        """Another configuration is in force."""
        self._digest = digest
        self._lasting.send(Reload(digest))

    def look(self) -> None:
        """There is something to do at once."""
        self._lasting.send(Look())

    def told(self) -> None:
        """Brings the status up to this moment."""
        self._status.age_s = time.monotonic() - self._whole_s

    async def stop(self) -> None:
        """Lets it finish what is there, and ends it."""
        process = self._lasting.leave()
        if process is not None:
            self._lasting.send(Drain())
            await asyncio.wait([process.ended], timeout=STOP_PATIENCE_S)
            if not process.ended.done():
                self._log.warning("keeper_killed")
                await process.stop(0.0)

    def _what(self, control_fd: int) -> KeeperStart:
        return KeeperStart(
            control_fd=control_fd,
            state_dir=str(self._state_dir.path),
            digest=self._digest,
            log_level=self._log_level,
            meters=self._stores.meters,
            wall_offset_ns=self._wall_offset_ns,
            records=self._stores.records,
        )

    def _heard(self, message: Kept) -> None:
        self._status.kept(message.gauges)
        if message.gauges.pass_ok:
            self._whole_s = time.monotonic()

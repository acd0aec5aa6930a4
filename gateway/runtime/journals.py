"""The supervisor's side of the journals: follows them for metrics and the access log, and closes what a dead worker
left open."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.runtime import background
from gateway.runtime.control_channel import Beat
from gateway.store.journal_read import Tail, directories
from gateway.store.layout import RECOVERY
from gateway.store.observer import Observer
from gateway.store.recovery import recover
from gateway.telemetry.logs import Log
from gateway.telemetry.status import Status

POLL_EVERY_S = 0.5
POLLS = 10
"""In one go of the thread that reads."""
TIDY_EVERY_S = 60.0

RECOVER_AGAIN_S = 10.0
"""A recovery that a full disk kept from being written is tried again after this."""


class Journals:
    """All journals of a state directory. Made before the first worker starts: what is there then belongs to the run
    before."""

    def __init__(self, state_dir: Path, version: str, log: Log, *, access_log: bool) -> None:
        self._state_dir = state_dir
        self._log = log
        self._observer = Observer(state_dir, version, access_log=access_log)
        self._recovering = asyncio.Lock()
        self._reading = background.thread("journals")

    @property
    def status(self) -> Status:
        """What the supervisor knows, to be shown with the metrics."""
        return self._observer.status

    def scrape(self, accept: str) -> tuple[str, bytes]:
        """Content type and body of the metrics page."""
        return self._observer.scrape(accept)

    def heard(self, slot: int, beat: Beat) -> None:
        """A worker's gauges."""
        self._observer.beat(slot, beat.gauges, beat.loop_lag_ms)

    async def follow(self) -> None:
        """Reads what the workers write; runs until cancelled."""
        while True:
            if not await self._read():
                await asyncio.sleep(POLL_EVERY_S)

    async def tidy(self) -> None:
        """Keeps the journals within their size; runs until cancelled."""
        while True:
            self._observer.tidy()
            await asyncio.sleep(TIDY_EVERY_S)

    async def recover(self) -> None:
        """Closes, in every journal whose worker is gone, what it left open; tries until that is written."""
        while True:
            if await self._recover_once():
                return
            await asyncio.sleep(RECOVER_AGAIN_S)

    async def finish(self) -> None:
        """Recovers and reads to the end, when no worker is left; what the disk does not take is left to the next
        start."""
        await self._recover_once()
        while await self._read():
            pass
        self._observer.close()

    async def _read(self) -> bool:
        """Reads a while, in its own thread; True when there is more."""
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._poll)

    def _poll(self) -> bool:
        for _ in range(POLLS):
            self._log.lines(self._observer.poll())  # a piece each: a long write keeps its core, too
            if not self._observer.behind:
                return False
        return True

    async def _recover_once(self) -> bool:
        async with self._recovering:
            # In a thread: it reads a whole journal and waits for the disk.
            return await asyncio.to_thread(self._recover)

    def _recover(self) -> bool:
        complete = True
        for directory in directories(self._state_dir):
            if (directory / RECOVERY).exists():
                continue
            tail = Tail(directory)
            try:
                if recover(tail, lambda _: None) and tail.recovered:
                    self._log.warning("journal_recovered", journal=directory.name, requests=tail.recovered)
            except OSError as error:
                complete = False
                self._log.error("journal_recovery_failed", journal=directory.name, error=str(error))
            finally:
                tail.close()
        return complete

"""The supervisor's side of the journals: closes what a dead worker left open."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gateway.store.journal_read import Tail, directories
from gateway.store.recovery import recover
from gateway.telemetry.logs import Log


class Journals:
    """All journals of a state directory."""

    def __init__(self, state_dir: Path, log: Log) -> None:
        self._state_dir = state_dir
        self._log = log
        self._recovering = asyncio.Lock()

    async def recover(self) -> None:
        """Closes, in every journal whose worker is gone, what it left open; a full disk leaves that for the next
        time."""
        async with self._recovering:
            await asyncio.to_thread(self._recover)

    def _recover(self) -> None:
        for directory in directories(self._state_dir):
            tail = Tail(directory)
            try:
                if recover(tail, lambda _: None) and tail.recovered:
                    self._log.warning("journal_recovered", journal=directory.name, requests=tail.recovered)
            except OSError as error:
                self._log.error("journal_recovery_failed", journal=directory.name, error=str(error))
            finally:
                tail.close()

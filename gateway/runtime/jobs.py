"""What the supervisor does beside: jobs that an exception does not end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.telemetry.logs import Log

Work = Callable[[], Coroutine[Any, Any, None]]

RETRY_S = 1.0
CANCEL_AGAIN_S = 5.0
"""A job that has not ended so long after it was cancelled is cancelled again: a library may have lost that."""


class Jobs:
    """Tasks of one event loop. An exception in one is logged as our bug and touches no other."""

    def __init__(self, log: Log, retry_s: float = RETRY_S, cancel_again_s: float = CANCEL_AGAIN_S) -> None:
        self._log = log
        self._retry_s = retry_s
        self._cancel_again_s = cancel_again_s
        self._running: set[asyncio.Task[None]] = set()

    def keep(self, name: str, work: Work) -> None:
        """Does `work` until `stop`, and again, after a moment, whenever it ends or fails."""
        self._start(name, self._again_and_again(name, work))

    def once(self, name: str, work: Work) -> None:
        """Does `work` one time."""
        self._start(name, self._guarded(name, work))

    async def stop(self) -> None:
        """Cancels all, and returns when they have ended."""
        while self._running:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running, timeout=self._cancel_again_s)

    def _start(self, name: str, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job, name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _again_and_again(self, name: str, work: Work) -> None:
        while True:
            await self._guarded(name, work)
            await asyncio.sleep(self._retry_s)

    async def _guarded(self, name: str, work: Work) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 (one job's bug must not end the others)
            self._log.bug("job_bug", error, job=name)

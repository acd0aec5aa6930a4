"""Threads for what would hold up the event loop: a bounded number, a bounded queue, and a deadline for each piece of
work.

For work that releases the interpreter's lock, as ONNX Runtime does. Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from gateway.errors import UpstreamBusy, UpstreamTimeout

THREADS: Final = 4
"""Of one worker. More than its one core, so that a long run does not hold up all others."""
WAITING_MOST: Final = 64

T = TypeVar("T")


class RunThreads:
    """The threads of one worker; they start when there is work."""

    def __init__(self, threads: int = THREADS, waiting_most: int = WAITING_MOST) -> None:
        self._executor = ThreadPoolExecutor(threads, "run")
        self._most = threads + waiting_most
        self.outstanding = 0

    async def run(self, work: Callable[[], T], stop: Callable[[], None], timeout_s: float) -> T:
        """What `work` returns or raises. `stop` is called when nobody waits for it any more: it should make `work` end.

        Raises UpstreamBusy when the queue is full and UpstreamTimeout after `timeout_s`.
        """
        if self.outstanding >= self._most:
            raise UpstreamBusy(
                "too many requests wait for the threads that models run in", headers=(("retry-after", "1"),)
            )
        loop = asyncio.get_running_loop()
        running = loop.run_in_executor(self._executor, work)
        self.outstanding += 1
        running.add_done_callback(self._done)
        late = False

        def expire() -> None:
            nonlocal late
            late = running.cancel()

        timer = loop.call_later(timeout_s, expire)
        try:
            return await running
        except asyncio.CancelledError:
            stop()
            if late:
                raise UpstreamTimeout("the model did not answer in time (limits.total_s)") from None
            raise
        finally:
            timer.cancel()

    def close(self) -> None:
        """Takes no more work; what waits is dropped."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _done(self, _: object) -> None:
        self.outstanding -= 1

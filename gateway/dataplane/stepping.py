"""Runs a handler's coroutine without an asyncio task: each step runs at once, in the stack of the callback that made
it possible.

A task costs about 3 µs a request more (its creation, the loop's queue for every wake-up). What a handler gives up for
that: inside it there is no current task, so `asyncio.timeout`, `asyncio.shield`, `asyncio.wait_for` and
`asyncio.current_task` must not be used (tests/test_layout.py holds that); work that needs them runs in
a task of its own, which may be awaited here like any other future.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from gateway.backends.waiter import Waiter

ENDED: Final[Any] = object()
"""What a step gives that was the last one."""


class Stepper:
    """One coroutine. `start` runs it to its first wait; `cancel` raises CancelledError where it waits; `on_end` is
    called once.
    """

    __slots__ = ("_loop", "_running", "_steps", "_waiting", "ended", "on_end")

    def __init__(self, coroutine: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> None:
        self._steps = coroutine.__await__()
        self._loop = loop
        self._waiting: Waiter[Any] | asyncio.Future[Any] | asyncio.Handle | None = None
        self._running = False
        self.ended = False
        self.on_end: Callable[[], None] | None = None

    def start(self) -> None:
        self._step(None)

    def cancel(self) -> None:
        """Ends the coroutine at its wait. From within one of its own steps: as soon as it waits."""
        if self.ended:
            return
        waiting = self._waiting
        if self._running:
            self._loop.call_soon(self.cancel)
        elif isinstance(waiting, asyncio.Future):
            # Its callback makes the step, in which the coroutine meets the CancelledError; or, when it is done and that
            # step only waits for the loop's next turn, the wait after it.
            if not waiting.cancel() and not waiting.cancelled():
                self._loop.call_soon(self.cancel)
        else:
            if isinstance(waiting, Waiter):
                waiting.resume = None
            elif waiting is not None:
                waiting.cancel()
            self._step(asyncio.CancelledError())

    def _resume(self, _: object = None) -> None:
        self._step(None)

    def _step(self, error: BaseException | None) -> None:
        self._running = True
        self._waiting = None
        try:
            # `next` with a default makes no exception of the end, as `send` does.
            waiting = next(self._steps, ENDED) if error is None else self._steps.throw(error)
        except (StopIteration, asyncio.CancelledError):
            self._end()
        except BaseException as unexpected:  # noqa: BLE001 - `lifecycle.run` lets nothing out; if it does, that must be seen
            self._end()
            self._loop.call_exception_handler({"message": "a handler raised", "exception": unexpected})
        else:
            if waiting is ENDED:
                self._end()
                return
            self._running = False
            self._waiting = waiting
            if type(waiting) is Waiter:
                waiting.resume = self._resume
            elif waiting is None:  # asyncio.sleep(0)
                self._waiting = self._loop.call_soon(self._resume)
            else:
                waiting._asyncio_future_blocking = False  # what a task does to say that it understood
                waiting.add_done_callback(self._resume)

    def _end(self) -> None:
        self._running = False
        self.ended = True
        if self.on_end is not None:
            self.on_end()

"""Running a test's coroutine on the loop the product runs on, bounded."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

from gateway.clock import within

T = TypeVar("T")
LIMIT_S = 100.0


def run(main: Coroutine[Any, Any, T]) -> T:
    """What `main` returns; TimeoutError after 100 s, so that a hang is a failure with a trace."""

    async def bounded() -> T:
        return await within(main, LIMIT_S)

    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    failed = True
    try:
        result = runner.run(bounded())
        failed = False
    finally:
        # uvloop warns of what it finds open, and with warnings as errors it then closes nothing and waits for ever.
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ResourceWarning)
            runner.close()
        assert failed or not told, f"left open: {[str(each.message) for each in told]}"
    return result


async def until(condition: Any, what: str, limit_s: float = 60.0) -> None:
    """Waits, looking every few milliseconds, until `condition()` holds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + limit_s
    while not condition():
        if loop.time() > end:
            raise AssertionError(f"not within {limit_s} s: {what}")
        await asyncio.sleep(0.005)

"""gateway.runtime.loop_lag"""

from __future__ import annotations

import asyncio
import time

from gateway.runtime.loop_lag import LOOK_EVERY_S, LoopLag


def test_a_callback_that_blocks_the_loop_is_seen_once() -> None:
    async def scenario() -> tuple[float, float]:
        lag = LoopLag()
        lag.start()
        time.sleep(3 * LOOK_EVERY_S)  # noqa: ASYNC251 (blocking the loop is what is looked for)
        await asyncio.sleep(0)  # the loop finds the timer due,
        await asyncio.sleep(0)  # and runs it
        return lag.worst_ms(), lag.worst_ms()

    blocked, after = asyncio.run(scenario())
    assert blocked >= 1000 * LOOK_EVERY_S
    assert after == 0.0

"""How late an event loop runs its callbacks: the sign of something that blocks it."""

from __future__ import annotations

import asyncio

LOOK_EVERY_S = 0.1


class LoopLag:
    """Measures the loop it was made in, from `start` on."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._worst_s = 0.0
        self._due_s = 0.0

    def start(self) -> None:
        self._due_s = self._loop.time() + LOOK_EVERY_S
        self._loop.call_at(self._due_s, self._look)

    def worst_ms(self) -> float:
        """The longest delay since the last call, in milliseconds; a delay that is still going on cannot be seen from
        inside."""
        worst_s, self._worst_s = self._worst_s, 0.0
        return worst_s * 1000

    def _look(self) -> None:
        self._worst_s = max(self._worst_s, self._loop.time() - self._due_s)
        self.start()

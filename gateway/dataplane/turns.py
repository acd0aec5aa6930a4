"""Turns for work on long texts: of all requests that have some, one does a piece of it in each turn of the event loop,
so that sixteen of them hold up the others no longer than one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from gateway.backends.waiter import Waiter

PIECE: Final = 500
"""Characters of a text that are looked at in one turn: a millisecond or two at the most."""


class Turns:
    """Of one event loop."""

    __slots__ = ("_taken", "_waiting")

    def __init__(self) -> None:
        self._taken = False
        self._waiting: deque[Waiter[None]] = deque()

    async def next(self) -> None:
        """Returns when it is the caller's turn: in this turn of the loop if nobody had it yet, else in a later one, in
        the order of asking."""
        if self._taken:
            waiter: Waiter[None] = Waiter()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                if waiter in self._waiting:
                    self._waiting.remove(waiter)
                raise
        else:
            self._taken = True
            asyncio.get_running_loop().call_soon(self._pass_on)

    def _pass_on(self) -> None:
        """In the loop's next turn: it is the next one's."""
        if not self._waiting:
            self._taken = False
            return
        asyncio.get_running_loop().call_soon(self._pass_on)
        self._waiting.popleft().set(None)  # it goes on now, before this returns

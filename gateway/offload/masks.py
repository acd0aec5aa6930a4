"""What was masked in conversations that a backend keeps: a later request goes on from an answer by its id alone, and
must find again, whichever worker it comes to, what stands behind the placeholders of the earlier ones.

In the memory of the check process and nowhere else, each under a name that says neither whose nor which answer's it is:
no more than `MOST`, and no longer than `KEPT_S`. When that process ends they are gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

KIND: Final = "masks"
"""Of a question. Its name is where, its text what is kept there; without one it asks for it."""

MOST: Final = 10_000
"""Answers whose values are kept; the oldest go first."""
MOST_BYTES: Final = 64 << 20
KEPT_S: Final = 24 * 3600.0


class Masks:
    """Belongs to one event loop."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s: Final = now_s
        self._kept: Final[dict[str, tuple[float, bytes]]] = {}
        self._bytes = 0

    def answer(self, name: str, given: bytes) -> bytes:
        """Keeps what is given; else returns what is kept, b"" for nothing."""
        self._forget()
        if not given:
            return self._kept.get(name, (0.0, b""))[1]
        self._drop(name)
        self._kept[name] = (self._now_s() + KEPT_S, given)
        self._bytes += len(given)
        return b""

    def _forget(self) -> None:
        """What is too old, or too much but for the last one."""
        while self._kept:
            oldest = next(iter(self._kept))
            if self._kept[oldest][0] > self._now_s() and len(self._kept) < MOST and self._bytes < MOST_BYTES:
                return
            self._drop(oldest)

    def _drop(self, name: str) -> None:
        _, kept = self._kept.pop(name, (0.0, b""))
        self._bytes -= len(kept)

"""How long to wait before a process that ended is started again. Pure."""

from __future__ import annotations

STEADY_AFTER_S = 10.0
"""A process that lived this long was well: its end is not held against the next one."""

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0


class Backoff:
    """Counts quick deaths in a row and says how long to wait: at once first, then 0.1 s doubling to 5 s, without end.

    It never says "give up": a worker that cannot run now may run when a disk has room or a file is back, and waiting
    costs nothing.
    """

    __slots__ = ("_quick_deaths",)

    def __init__(self) -> None:
        self._quick_deaths = 0

    def ended(self, lived_s: float) -> float:
        """Notes that the process ended after `lived_s` seconds; returns the seconds to wait before the next start."""
        if lived_s >= STEADY_AFTER_S:
            self._quick_deaths = 0
            return 0.0
        self._quick_deaths += 1
        if self._quick_deaths == 1:
            return 0.0
        # The exponent is bounded so that years of failing do not build a huge integer.
        return float(min(LONGEST_DELAY_S, FIRST_DELAY_S * 2 ** min(self._quick_deaths - 2, 16)))

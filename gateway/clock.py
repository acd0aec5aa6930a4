"""Time as one object, so that tests move it and nothing else reads it.

`Clock` is what the I/O shell hands to code that needs a time; policy takes plain numbers.
"""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings: wall time for people and records, monotonic time for durations and deadlines."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch; may jump."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The machine's clock."""

    __slots__ = ()
    wall_ns = staticmethod(time.time_ns)
    monotonic_s = staticmethod(time.monotonic)


class ManualClock:
    """A clock for tests: stands still until `advance` is called."""

    __slots__ = ("_monotonic_s", "_wall_ns")

    def __init__(self, wall_ns: int = 1_800_000_000_000_000_000, monotonic_s: float = 1_000.0) -> None:
        self._wall_ns = wall_ns
        self._monotonic_s = monotonic_s

    def wall_ns(self) -> int:
        return self._wall_ns

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Moves both readings by `seconds`."""
        self._wall_ns += round(seconds * 1e9)
        self._monotonic_s += seconds

"""Time as one object, so that tests move it and nothing else reads it.

`Clock` is what the I/O shell hands to code that needs a time; policy takes plain numbers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Protocol, TypeVar

_T = TypeVar("_T")


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


def wall_offset_ns() -> int:
    """How far the machine's wall time is ahead of its monotonic time, now."""
    return time.time_ns() - time.monotonic_ns()


class SteadyClock:
    """Wall time that no jump of the machine's clock moves: it was read once, and has gone on with monotonic time since.

    Windows that roll count by it: processes of one machine that share an offset never differ, so a clock that is set an
    hour ahead does not empty a window, and one that is set back does not fill it twice.
    """

    __slots__ = ("_offset_ns",)
    monotonic_s = staticmethod(time.monotonic)

    def __init__(self, offset_ns: int) -> None:
        """`offset_ns`: `wall_offset_ns()` of the process that started all others."""
        self._offset_ns = offset_ns

    def wall_ns(self) -> int:
        return time.monotonic_ns() + self._offset_ns


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


async def within(awaitable: Awaitable[_T], seconds: float) -> _T:
    """What `awaitable` gives; TimeoutError, and it is cancelled, when it has not after `seconds`.

    `asyncio.wait_for` of Python 3.11 loses a cancellation that comes as the awaitable is done: a job went on for ever
    that was told to stop, and its process with it.
    """
    async with asyncio.timeout(seconds):
        return await awaitable

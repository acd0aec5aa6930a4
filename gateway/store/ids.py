"""The ids of requests."""

from __future__ import annotations

from typing import Final

LOW: Final = tuple([f"{number:02x}" for number in range(256)])
"""The last two digits: formatting a number for each request costs more than the rest of its id."""


class RequestIds:
    """Makes ids: `req_` + 12 hex digits of milliseconds + 10 of a worker's random + 8 of a counter.

    They sort by time, and two can be equal only if two workers drew the same 40 random bits and count alike in one
    millisecond.
    """

    __slots__ = ("_count", "_millisecond", "_prefix", "_random")

    def __init__(self, random: bytes) -> None:
        """`random`: 5 bytes drawn by the worker when it starts."""
        if len(random) != 5:
            raise ValueError("RequestIds wants 5 random bytes")
        self._random = random.hex()
        self._count = 0
        self._millisecond = -1
        self._prefix = ""

    def next(self, wall_ns: int) -> str:
        """A new id for a request that began at `wall_ns`."""
        millisecond = wall_ns // 1_000_000
        self._count = count = (self._count + 1) & 0xFFFFFFFF
        low = count & 0xFF
        if millisecond != self._millisecond or not low:
            self._millisecond = millisecond
            # Not an f-string: compiled, its formats cost four times as much.
            parts = (millisecond & 0xFFFFFFFFFFFF, self._random, count >> 8)
            self._prefix = "req_%012x%s%06x" % parts  # noqa: UP031
        return self._prefix + LOW[low]

"""The ids of requests."""

from __future__ import annotations


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
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            self._prefix = "req_%012x%s" % (millisecond & 0xFFFFFFFFFFFF, self._random)  # noqa: UP031 (see below)
        self._count = count = (self._count + 1) & 0xFFFFFFFF
        # An f-string with a format like this one, once compiled, costs as much as reading the whole request's head.
        return "%s%08x" % (self._prefix, count)  # noqa: UP031

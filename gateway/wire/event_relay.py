"""A stream of named events that passes as it came: the backend's bytes in, the caller's out, unchanged.

Events pass only whole, so that an error can always be told between two of them. Only those that can hold what the
gateway must know are read; the one that ends the answer is held until the backend has ended, since callers hang up on
it and the record must be closed by then. A stream that ends without that one gets an error event instead, even where
its HTTP framing ended well: some servers end every answer by closing, and callers would take half of one for a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from gateway.errors import StreamBroken
from gateway.wire import sse
from gateway.wire.errors import Shape
from gateway.wire.usage import Usage

CUT_SHORT: Final = "the backend's answer ended before its end"

MAX_HELD_BYTES: Final = 4 * 1024 * 1024
"""An event longer than this is passed on before it is whole, and not read: the last one may repeat the whole answer,
and what was asked.
"""


_ERRORS: Final = (b"event: error", b"event:error")
"""By this clients know an error, whatever its data is."""


class Seen(NamedTuple):
    """What one event said."""

    usage: Usage | None = None
    ends: bool = False
    failed: bool = False


class EventRelay:
    """One stream; see `call.Passing`. `worth` finds the bytes without which an event says nothing to the gateway;
    `look` reads the data of one that has them; `errors` is how the format tells an error.
    """

    __slots__ = ("_ending", "_errors", "_held", "_look", "_unread", "_worth", "failed", "mid_frame", "usage")

    def __init__(self, worth: re.Pattern[bytes], look: Callable[[bytes], Seen], errors: Shape) -> None:
        self._worth = worth
        self._look = look
        self._errors = errors
        self.usage: Usage | None = None
        self.failed = False
        self.mid_frame = False
        self._held = b""
        self._ending = b""
        self._unread = False  # an event passed that was too long to hold: it may have been the last one

    @property
    def complete(self) -> bool:
        """The event that ends the answer came."""
        return bool(self._ending)

    def feed(self, data: bytes) -> bytes:
        """What the caller may have of `data` and of what was held before; b"" when nothing."""
        if self._ending:  # a format has nothing behind its end
            return b""
        if self._held:
            data = self._held + data
            self._held = b""
        if not data.endswith(b"\n\n"):
            end = sse.end_of_frames(data)
            if len(data) - end > MAX_HELD_BYTES:
                self.mid_frame = self._unread = True
                return data
            self._held = data[end:]
            data = data[:end]
            if not data:
                return b""
        self.mid_frame = False
        return self._read(data) if self._worth.search(data) else data

    def finish(self) -> bytes:
        """The backend ended: what is left to send."""
        held, self._held = self._held, b""
        rest = b"" if self._ending else self._read(held)  # the last event may lack its blank line
        if not self._ending and not self.failed and (self.mid_frame or not self._unread):
            self.failed = True
            frame = self._errors.frame(StreamBroken(CUT_SHORT), None)
            return b"\n\n" + frame if self.mid_frame else frame
        rest, self._ending = rest + self._ending, b""
        return rest

    def _read(self, data: bytes) -> bytes:
        """`data` up to the event that ends the answer, which is kept."""
        passed = 0
        for frame in sse.frames(data):
            if self._worth.search(frame):
                seen = self._look(sse.data(frame) or b"")
                self.usage = seen.usage or self.usage
                self.failed |= seen.failed or frame.startswith(_ERRORS)
                if seen.ends:
                    self._ending = frame
                    return data[:passed]
            passed += len(frame)
        return data

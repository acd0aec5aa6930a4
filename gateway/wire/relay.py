"""A streamed reply in OpenAI's chat format: the backend's bytes in, the caller's bytes out.

Frames (server-sent events) pass as they came and only whole, so that an error can always be told between two of them.
A frame is decoded only when it names usage or an error: usage is kept for the record, and hidden where the gateway,
not the caller, asked for it. Deciding is all this does; the data plane moves the bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from gateway.wire import sse, usage
from gateway.wire.call import Call
from gateway.wire.usage import Usage

MAX_HELD_BYTES: Final = 1024 * 1024
"""A frame longer than this is passed on before it is whole: nothing the gateway must read is that long."""


DONE_FRAME: Final = b"data: [DONE]\n\n"
"""Held until the upstream's answer has ended: callers hang up on it, and the record must be closed by then."""


class Relay:
    """One stream. `feed` any cut of it, then `finish` once; what comes out does not depend on the cut.

    - `usage`: the last usage seen, or None.
    - `failed`: the backend told an error in band.
    - `mid_frame`: the caller has seen a part of a frame only.
    """

    __slots__ = ("_held", "failed", "hide_usage", "mid_frame", "note", "usage")

    reads_all: ClassVar[bool] = False
    """Whether frames are read that name neither."""

    def __init__(self, hide_usage: bool) -> None:
        self.hide_usage = hide_usage
        self.usage: Usage | None = None
        self.failed = False
        self.mid_frame = False
        self._held = b""
        self.note: Callable[[], bytes] | None = None
        """Makes a member for the usage frame of a caller that asked for it."""

    def feed(self, data: bytes) -> bytes:
        """What the caller may have of `data` and of what was held before; b"" when nothing."""
        if self._held:
            data = self._held + data
            self._held = b""
        if data.endswith(DONE_FRAME):
            self._held = DONE_FRAME
            data = data[: -len(DONE_FRAME)]
            if not data:
                return b""
        elif not data.endswith(b"\n\n"):
            end = sse.end_of_frames(data)
            if len(data) - end > MAX_HELD_BYTES:
                self.mid_frame = True
                return data
            self._held = data[end:]
            data = data[:end]
            if not data:
                return b""
        self.mid_frame = False
        if sse.holds(data, b'"usage"') or sse.holds(data, b'"error"') or self.reads_all:
            return self._read(data)
        return data

    @property
    def complete(self) -> bool:
        """All frames came, the last one included: whatever happens to the connection now, the answer is whole."""
        return self._held == DONE_FRAME

    def finish(self) -> bytes:
        """The upstream ended: what is left to send."""
        rest, self._held = self._held, b""
        return self._read(rest) if rest else b""

    def _read(self, data: bytes) -> bytes:
        kept = []
        for frame in sse.frames(data):
            payload = sse.data(frame) or b""
            stated = usage.from_frame(payload) if sse.holds(payload, b'"usage"') else None
            if stated is not None:
                self.usage = stated
                if usage.is_all(payload):
                    if self.hide_usage:
                        continue
                    frame = self._noted(frame)
            elif payload.startswith(b'{"error"'):
                self.failed = True
            kept.append(frame)
        return b"".join(kept)

    def _noted(self, frame: bytes) -> bytes:
        """The last frame with what is to be told beside the usage."""
        if self.note is None or not frame.endswith(b"}\n\n"):
            return frame
        return b"%b,%b}\n\n" % (frame[:-3], self.note())


def of(call: Call) -> Relay:
    """The relay of this call's answer."""
    return Relay(hide_usage=not call.asks_usage)

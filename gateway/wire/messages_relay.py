"""A streamed message from a backend that speaks Anthropic's format: its bytes in, the caller's out, unchanged.

Events pass only whole, so that an error can always be told between two of them. Only those that can hold usage, an
error or the end are decoded; the end (`message_stop`) is held, since callers hang up on it and the record must be
closed by then.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.wire import messages_usage, sse
from gateway.wire.call import Call
from gateway.wire.relay import MAX_HELD_BYTES
from gateway.wire.usage import Usage

_LAST: Final = b'"message_stop"'


class _Event(msgspec.Struct):
    type: str | None = None
    error: msgspec.Raw = msgspec.Raw(b"null")


_NULL: Final = msgspec.Raw(b"null")
_decode: Final = msgspec.json.Decoder(_Event).decode


class MessagesRelay:
    """One stream; see `call.Passing`."""

    __slots__ = ("_counts", "_ending", "_held", "failed", "mid_frame", "usage")

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.failed = False
        self.mid_frame = False
        self._counts: messages_usage.Counts = {}
        self._held = b""
        self._ending = b""

    @property
    def complete(self) -> bool:
        """`message_stop` came."""
        return bool(self._ending)

    def feed(self, data: bytes) -> bytes:
        """What the caller may have of `data` and of what was held before; b"" when nothing."""
        if self._ending:  # the format has nothing behind its end
            return b""
        if self._held:
            data = self._held + data
            self._held = b""
        if not data.endswith(b"\n\n"):
            end = sse.end_of_frames(data)
            if len(data) - end > MAX_HELD_BYTES:
                self.mid_frame = True
                return data
            self._held = data[end:]
            data = data[:end]
            if not data:
                return b""
        self.mid_frame = False
        if b'"usage"' in data or b'"error"' in data or _LAST in data:
            return self._read(data)
        return data

    def finish(self) -> bytes:
        """The backend ended: what is left to send."""
        rest = b"" if self._ending else self._read(self._held)
        rest += self._ending
        self._held = self._ending = b""
        return rest

    def _read(self, data: bytes) -> bytes:
        """`data` up to its end event, which is kept."""
        passed = 0
        for frame in sse.frames(data):
            payload = sse.data(frame) or b""
            if b'"usage"' in payload:
                counts = messages_usage.stated(payload)
                if counts:
                    self._counts |= counts
                    self.usage = messages_usage.from_counts(self._counts)
            if b'"error"' in payload or _LAST in payload:
                event = _event(payload)
                if event.type == "message_stop":
                    self._ending = frame
                    return data[:passed]
                if event.type == "error" or (event.type is None and event.error != _NULL):
                    self.failed = True
            passed += len(frame)
        return data


def of(call: Call) -> MessagesRelay:
    """The relay of this call's answer."""
    return MessagesRelay()


def _event(payload: bytes) -> _Event:
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Event()

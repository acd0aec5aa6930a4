"""What a stream in Anthropic's own format tells the gateway: its usage, an error, its end (`message_stop`)."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.wire.call import Call
from gateway.wire.event_relay import EventRelay, Seen
from gateway.wire.messages import usage as messages_usage
from gateway.wire.messages.errors import ANTHROPIC

_WORTH: Final = re.compile(rb'"(?:usage|error|message_stop)"|^event: ?error', re.MULTILINE)
_NULL: Final = msgspec.Raw(b"null")


class _Event(msgspec.Struct):
    type: str | None = None
    error: msgspec.Raw = _NULL


_decode: Final = msgspec.json.Decoder(_Event).decode


def of(call: Call) -> EventRelay:
    """The relay of this call's answer."""
    return EventRelay(_WORTH, _Reader().look, ANTHROPIC)


class _Reader:
    """Reads the events of one stream: its counts come in parts."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: messages_usage.Counts = {}

    def look(self, payload: bytes) -> Seen:
        """What one event said."""
        usage = None
        if b'"usage"' in payload and (counts := messages_usage.stated(payload)):
            self._counts |= counts
            usage = messages_usage.from_counts(self._counts)
        try:
            event = _decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Seen(usage)
        failed = event.type == "error" or (event.type is None and event.error != _NULL)
        return Seen(usage, event.type == "message_stop", failed)

"""What a stream in the Responses API's own format tells the gateway: its end, its usage, whether it failed."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from gateway.wire.call import Call
from gateway.wire.event_relay import EventRelay, Seen
from gateway.wire.responses import usage as responses_usage
from gateway.wire.responses.errors import RESPONSES

_WORTH: Final = re.compile(rb'"(?:response\.(?:completed|incomplete|failed)|error)"')
"""One of these stands in the data of every event that ends an answer."""

_ENDS: Final = frozenset(("response.completed", "response.incomplete", "response.failed", "error"))


class _Response(msgspec.Struct, gc=False):
    usage: dict[str, Any] | None = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    response: _Response | None = None


_decode: Final = msgspec.json.Decoder(_Event).decode


def of(call: Call) -> EventRelay:
    """The relay of this call's answer."""
    return EventRelay(_WORTH, _look, RESPONSES)


def _look(payload: bytes) -> Seen:
    if payload.startswith(b'{"error"'):  # as OpenAI-compatible servers tell errors in any stream
        return Seen(failed=True)
    try:
        event = _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Seen()
    if event.type not in _ENDS:
        return Seen()
    counts = None if event.response is None else event.response.usage
    return Seen(responses_usage.from_counts(counts), True, event.type in ("response.failed", "error"))

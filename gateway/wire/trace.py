"""Ids a caller sends along: its own request id, and W3C trace context."""

from __future__ import annotations

import re
from typing import Final

_PARENT: Final = re.compile(rb"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
_ID: Final = re.compile(rb"[!-~]{1,128}").fullmatch


def parent(value: bytes) -> str:
    """A valid `traceparent` of version 00 (W3C Trace Context §3.2), else ""."""
    return value.decode("ascii") if _PARENT(value) else ""


def caller_id(value: bytes) -> str:
    """A request id of 1 to 128 printable ASCII characters, else "": it goes back into a header."""
    return value.decode("ascii") if _ID(value) else ""

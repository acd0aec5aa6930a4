"""Why bytes are no JSON, in words for who sent them: a position, never a value."""

from __future__ import annotations

import re
from typing import Final

import msgspec

_LOOKED_AT: Final = 1 << 20
"""Bytes in which half of a character is looked for: some 20 ms at worst."""

_UP_TO_HALF: Final = re.compile(
    rb"[^\\]*+(?:\\(?:u[dD][89aAbB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?!u[dD][89a-fA-F]).)[^\\]*+)*+\\u[dD]",
    re.DOTALL,
)
"""All up to the first escape of a surrogate that does not stand in a pair."""


def reason(data: bytes, malformed: msgspec.DecodeError) -> str:
    """What is wrong with `data`, to follow `… is not valid JSON: `."""
    half = _UP_TO_HALF.match(memoryview(data)[:_LOOKED_AT])
    if half is not None:
        at = half.end() - len(b"\\ud")
        return f"half of a character stands alone at byte {at} (an unpaired surrogate escape); both halves, or none"
    told = str(malformed).removeprefix("JSON is malformed: ")
    return "it ends too early" if told == "Input data was truncated" else told

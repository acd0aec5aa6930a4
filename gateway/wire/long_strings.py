"""A large body without the text of its long strings: what its structure can be read from at a fraction of the cost.

Nearly all of a large body is a few long strings: images in base64, documents. Finding where such a string ends takes
one search for a quote (14 µs a megabyte); a JSON parser looks at every character (480 µs). The text left out is not
checked by the gateway: a control character or a wrong escape in it changes nothing about where fields begin and end,
and the backend reads all of it anyway.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import Final

import msgspec

LONG_BYTES: Final = 4_096
"""A string at least this long is left out."""

STEP_BYTES: Final = 8_192
"""The search ends after one quote for so many bytes of body: then it has no long strings worth it, and the parser is as
fast.
"""

_NAMES: Final = re.compile(rb"[ \t\n\r]*:")
_BACKSLASH: Final = ord("\\")


class Shortened(msgspec.Struct, frozen=True):
    """A body with some strings made empty, and where."""

    text: bytes
    places: list[int]
    """Offsets in `text` of the end of each string that was emptied, ascending."""
    left_out: list[int]
    """How many bytes were left out up to there, in all."""

    def original(self, at: int) -> int:
        """The offset in the body of an offset in `text` that is outside of strings."""
        cuts = bisect_right(self.places, at)
        return at + self.left_out[cuts - 1] if cuts else at


def shorten(body: bytes) -> Shortened | None:
    """None when there is nothing to gain. The body need not be valid JSON: it is so only if `text` is.

    Names are never left out, so that two fields cannot come to look alike.
    """
    steps_left = len(body) // STEP_BYTES
    parts: list[bytes] = []
    places: list[int] = []
    left_out: list[int] = []
    kept_to = at = gone = 0
    while (begin := body.find(b'"', at) + 1) > 0:
        at = begin
        while True:
            steps_left -= 1
            quote = body.find(b'"', at)
            if quote < 0 or steps_left < 0:
                return None
            at = quote + 1
            before = quote - 1
            while body[before] == _BACKSLASH:  # stops at the quote the string began with, at the latest
                before -= 1
            if (quote - before) % 2:  # an even number of backslashes: they escape each other, not the quote
                break
        if quote - begin >= LONG_BYTES and _NAMES.match(body, at) is None:
            parts.append(body[kept_to:begin])
            kept_to = quote
            gone += quote - begin
            places.append(quote - gone)
            left_out.append(gone)
    if not places:
        return None
    parts.append(body[kept_to:])
    return Shortened(b"".join(parts), places, left_out)

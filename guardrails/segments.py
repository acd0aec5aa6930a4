"""A text in segments, for checks that judge sentences: where one ends depends on the text alone, not on how it
came.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

LEAST: Final = 60
"""Characters; shorter sentences are taken together with the next."""
MOST: Final = 600
"""Characters; where no sentence ends, the last blank before, else just there."""

_ENDS: Final = ".!?…。！？\n"


class Segments:
    """One text. `feed` and `finish` give segments with their places; together they are the text."""

    __slots__ = ("_at", "_base", "_least", "_read", "_text")

    def __init__(self, least: int = LEAST) -> None:
        self._least: Final = least
        self._text = ""
        self._base = 0  # where `_text` begins
        self._at = 0
        self._read = 0  # how many characters after `_at` were looked at

    @property
    def at(self) -> int:
        """Where the segment begins that is not yet complete."""
        return self._at

    def feed(self, text: str) -> Iterator[tuple[int, str]]:
        self._text = self._text[self._at - self._base :] + text
        self._base = self._at
        while (end := self._end(self._at - self._base)) is not None:
            yield self._cut(end)

    def finish(self) -> Iterator[tuple[int, str]]:
        if self._at - self._base < len(self._text):
            yield self._cut(len(self._text))

    def _cut(self, end: int) -> tuple[int, str]:
        at, start = self._at, self._at - self._base
        self._at = self._base + end
        self._read = 0
        return at, self._text[start:end]

    def _end(self, start: int) -> int | None:
        """Where the segment that begins at `start` ends, once a character after it shows that it does."""
        text = self._text
        for index in range(start + max(self._read, self._least), min(len(text), start + MOST)):
            if text[index].isspace() and text[index - 1] in _ENDS:
                return index
        if len(text) - start > MOST:
            last = max(text.rfind(blank, start + self._least, start + MOST) for blank in " \n")
            return last + 1 if last > 0 else start + MOST
        self._read = len(text) - start
        return None

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

    __slots__ = ("_at", "_read", "_text")

    def __init__(self) -> None:
        self._text = ""
        self._at = 0
        self._read = 0  # characters of `_text` that were looked at

    @property
    def at(self) -> int:
        """Where the segment begins that is not yet complete."""
        return self._at

    def feed(self, text: str) -> Iterator[tuple[int, str]]:
        self._text += text
        while (end := self._end()) is not None:
            yield self._cut(end)

    def finish(self) -> Iterator[tuple[int, str]]:
        if self._text:
            yield self._cut(len(self._text))

    def _cut(self, end: int) -> tuple[int, str]:
        at, segment = self._at, self._text[:end]
        self._text = self._text[end:]
        self._at += end
        self._read = 0
        return at, segment

    def _end(self) -> int | None:
        """Where the first segment ends, once a character after it shows that it does."""
        text = self._text
        for index in range(max(self._read, LEAST), min(len(text), MOST)):
            if text[index].isspace() and text[index - 1] in _ENDS:
                return index
        if len(text) > MOST:
            return max(text.rfind(" ", LEAST, MOST), text.rfind("\n", LEAST, MOST)) + 1 or MOST
        self._read = len(text)
        return None

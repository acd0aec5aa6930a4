"""How long a text may be: what is longer is found from its first character too many."""

from __future__ import annotations

from typing import Final

from guardrails.check import Nonsense, Sight, Step
from guardrails.verdict import Finding


class LengthCheck:
    """Finds everything after the first `most` characters."""

    __slots__ = ("most", "name", "sight")

    def __init__(self, most: int) -> None:
        """Raises ValueError."""
        if most < 1:
            raise ValueError(f"a longest text of {most} characters lets nothing through")
        self.name: Final = "length"
        self.sight: Final = Sight.PATTERN
        self.most: Final = most

    def watch(self) -> LengthWatch:
        return LengthWatch(self.most)


class LengthWatch:
    """The check at work. Its finding begins where the text is too long and ends one character later."""

    __slots__ = ("_found", "_most", "_read")

    def __init__(self, most: int) -> None:
        self._most: Final = most
        self._read = 0
        self._found = False

    @property
    def settled(self) -> int:
        return self._read

    def feed(self, text: str) -> Step:
        self._read += len(text)
        if self._found or self._read <= self._most:
            return []
        self._found = True
        return [Finding("length", "too_long", 1.0, self._most, self._most + 1)]

    def finish(self) -> Step:
        return []

    def answer(self, number: int, value: object) -> Step:
        raise Nonsense(f"length asked nothing, and was answered {number}")

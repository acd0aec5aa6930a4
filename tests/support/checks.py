"""A check for tests whose every look at a text raises."""

from __future__ import annotations

from guardrails.check import Sight, Step


class RaisingCheck:
    """Raises at the first character it is given."""

    name = "raising"
    sight = Sight.PATTERN

    def watch(self) -> RaisingCheck:
        return self

    @property
    def settled(self) -> int:
        return 0

    def feed(self, text: str) -> Step:
        raise RuntimeError(text)

    def finish(self) -> Step:
        return []

    def answer(self, number: int, value: object) -> Step:
        raise RuntimeError(number, value)

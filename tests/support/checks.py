"""Checks for tests: one that asks of each segment, or of the whole, whether it is bad."""

from __future__ import annotations

from guardrails.check import Need, Nonsense, Sight, Step
from guardrails.segments import Segments
from guardrails.verdict import Finding


class AskingCheck:
    """Needs an answer for each segment (or for the whole text); a score of .5 or more is a finding."""

    def __init__(self, name: str, sight: Sight) -> None:
        self.name = name
        self.sight = sight

    def watch(self) -> _Asking:
        return _Asking(self)


class _Asking:
    def __init__(self, check: AskingCheck) -> None:
        self._check = check
        self._segments = Segments()
        self._whole = ""
        self._open: dict[int, tuple[int, int]] = {}
        self._count = 0

    @property
    def settled(self) -> int:
        return min(
            [start for start, _ in self._open.values()],
            default=0 if self._check.sight is Sight.WHOLE and self._count == 0 else self._segments.at,
        )

    def feed(self, text: str) -> Step:
        if text == "raise":
            raise RuntimeError(text)
        if self._check.sight is Sight.WHOLE:
            self._whole += text
            return []
        return [self._ask(at, segment) for at, segment in self._segments.feed(text)]

    def finish(self) -> Step:
        if self._check.sight is Sight.WHOLE:
            list(self._segments.feed(self._whole))
            list(self._segments.finish())
            return [self._ask(0, self._whole)]
        return [self._ask(at, segment) for at, segment in self._segments.finish()]

    def answer(self, number: int, value: object) -> Step:
        if not isinstance(value, float):
            raise Nonsense(value)
        start, end = self._open.pop(number)
        return [Finding(self._check.name, "bad", value, start, end)] if value >= 0.5 else []

    def _ask(self, at: int, text: str) -> Need:
        number, self._count = self._count, self._count + 1
        self._open[number] = (at, at + len(text))
        return Need("classifier", self._check.name, text, number)

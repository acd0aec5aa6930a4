"""Checks that ask somebody for a score: a classifier, a model behind the gateway, a webhook. They say what is to be
judged and what a score means; the caller makes the calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeGuard

from guardrails.check import Need, Nonsense, Sight, Step
from guardrails.segments import LEAST, Segments
from guardrails.verdict import Finding

TOO_LONG: Final = "too_long"
OVERLAP: Final = 200
"""Characters that two parts of a long text share, so that nothing is judged only in halves."""


class Beyond(StrEnum):
    """What is judged of a text that is longer than what is judged at once."""

    HEAD_AND_TAIL = "head_and_tail"
    SEGMENTS = "segments"
    REFUSE = "refuse"

    @classmethod
    def _missing_(cls, value: object) -> Beyond:
        raise ValueError(f"beyond: {value!r} is none of {', '.join(cls)}")


@dataclass(frozen=True, slots=True)
class AskedCheck:
    """Finds what is scored `threshold` or more."""

    name: str
    kind: str
    """classifier, model or webhook."""
    target: str
    """Which one."""
    code: str
    threshold: float = 0.5
    sight: Sight = Sight.WHOLE
    most: int = 20_000
    """Characters judged at once; of a check that judges segments, all are shorter."""
    beyond: Beyond = Beyond.HEAD_AND_TAIL
    least: int = LEAST
    """Characters of a segment; shorter sentences are judged together."""

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"{self.name}: a threshold of {self.threshold} finds all or nothing; above 0, at most 1")
        if self.most <= 2 * OVERLAP:
            raise ValueError(f"{self.name}: {self.most} characters are too few to judge; more than {2 * OVERLAP}")
        if self.sight is Sight.PATTERN:
            raise ValueError(f"{self.name}: a score is of a segment or of the whole, not of a pattern")

    @property
    def asks(self) -> tuple[str, str]:
        return self.kind, self.target

    def watch(self) -> AskedWatch:
        return AskedWatch(self)

    def question(self, text: str) -> str:
        """What is asked about a text."""
        return text

    def findings(self, value: object, start: int, end: int) -> Step:
        """What an answer about `[start, end)` of the text shows. Raises `Nonsense`."""
        if not is_score(value):
            raise Nonsense(f"{self.name}: an answer is a score from 0 to 1")
        return [Finding(self.name, self.code, float(value), start, end)] if value >= self.threshold else []

    def parts(self, text: str) -> list[tuple[int, str]]:
        """What is judged of a whole text, with its places; nothing if it is too long and to be refused."""
        if len(text) <= self.most:
            return [(0, text)] if text else []
        if self.beyond is Beyond.REFUSE:
            return []
        if self.beyond is Beyond.HEAD_AND_TAIL:
            half = self.most // 2
            return [(0, text[:half]), (len(text) - half, text[-half:])]
        return [(at, text[at : at + self.most]) for at in range(0, len(text) - OVERLAP, self.most - OVERLAP)]


def is_score(value: object) -> TypeGuard[int | float]:
    """Whether a value is a number from 0 to 1."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


class AskedWatch:
    """The check at work."""

    __slots__ = ("_check", "_count", "_ended", "_open", "_segments", "_whole")

    def __init__(self, check: AskedCheck) -> None:
        self._check = check
        self._segments = Segments(check.least)
        self._whole: list[str] = []
        self._ended = 0  # where the text ends, once it has
        self._open: dict[int, tuple[int, int]] = {}
        self._count = 0

    @property
    def settled(self) -> int:
        if self._check.sight is Sight.WHOLE:
            return 0 if self._open else self._ended
        for start, _ in self._open.values():  # asked in the order of the text
            return start
        return self._segments.at

    def feed(self, text: str) -> Step:
        if self._check.sight is Sight.WHOLE:
            self._whole.append(text)
            return []
        return [self._ask(at, segment) for at, segment in self._segments.feed(text)]

    def finish(self) -> Step:
        if self._check.sight is Sight.SEGMENT:
            return [self._ask(at, segment) for at, segment in self._segments.finish()]
        text = "".join(self._whole)
        self._whole = []
        self._ended = len(text)
        parts = self._check.parts(text)
        if text and not parts:
            return [Finding(self._check.name, TOO_LONG, 1.0, 0, len(text))]
        return [self._ask(at, part) for at, part in parts]

    def answer(self, number: int, value: object) -> Step:
        place = self._open.get(number)
        if place is None:
            raise Nonsense(f"{self._check.name} did not ask {number}")
        findings = self._check.findings(value, *place)
        del self._open[number]
        return findings

    def _ask(self, at: int, text: str) -> Need:
        number, self._count = self._count, self._count + 1
        self._open[number] = (at, at + len(text))
        return Need(self._check.kind, self._check.target, self._check.question(text), number)


def injection(threshold: float = 0.5, most: int = 20_000, beyond: str = Beyond.SEGMENTS) -> AskedCheck:
    """Attempts to turn a model against its instructions, by the classifier of that name. Judges whole texts."""
    return AskedCheck("injection", "classifier", "injection", "injection", threshold, Sight.WHOLE, most, Beyond(beyond))


def toxicity(threshold: float = 0.5) -> AskedCheck:
    """Insults, hate and threats, by the classifier of that name. Judges sentences, so that answers can stream."""
    return AskedCheck("toxicity", "classifier", "toxicity", "toxicity", threshold, Sight.SEGMENT)


def model(
    target: str, code: str, threshold: float = 0.5, most: int = 20_000, beyond: str = Beyond.SEGMENTS
) -> AskedCheck:
    """What a model behind the gateway finds; the caller asks it and reads its answer as a score."""
    return AskedCheck("model", "model", target, code, threshold, Sight.WHOLE, most, Beyond(beyond))


def webhook(
    target: str, code: str, threshold: float = 0.5, most: int = 20_000, beyond: str = Beyond.SEGMENTS
) -> AskedCheck:
    """What a webhook finds; the caller signs and times the call, and reads its answer as a score."""
    return AskedCheck("webhook", "webhook", target, code, threshold, Sight.WHOLE, most, Beyond(beyond))

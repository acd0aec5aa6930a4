"""What a worker counts of the questions it asks, by the kind of check."""

from __future__ import annotations

from typing import Final

from gateway.offload.frames import LATE

WEBHOOK: Final = "webhook"
LOADED: Final = ("classifier", "entities", "similarity")
"""What the check process answers by what it has loaded."""
KINDS: Final = (*LOADED, WEBHOOK)
"""What checks ask it."""


class Tally:
    """Rises from 0 when the worker starts. `counts`: by kind and what is counted, `classifier.questions`."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[str, float] = {}

    def asked(self, kind: str) -> None:
        """A question."""
        self._add(kind, "questions", 1)

    def answered(self, kind: str, seconds: float) -> None:
        """There is a value."""
        self._add(kind, "seconds", seconds)

    def failed(self, kind: str, reason: str) -> None:
        """There is none."""
        self._add(kind, "late" if reason == LATE else "unavailable", 1)

    def _add(self, kind: str, what: str, amount: float) -> None:
        key = f"{kind}.{what}"
        self.counts[key] = self.counts.get(key, 0) + amount

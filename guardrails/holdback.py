"""Which characters of a text may leave: those that no finding, known or still to come, can touch.

Findings that overlap are one, so that no character of either is delivered. What is delivered depends on the text
and on the findings, and not on when either became known.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable
from typing import Final

from guardrails.verdict import Action, Finding

Mask = Callable[[Action, str, str], str]
"""What stands for a masked part: the action, the code of the finding, and the part itself."""

_Span = tuple[int, int, int, Action, Finding]


class Holdback:
    """One text on its way out. Give it text and findings, then ask what may leave."""

    __slots__ = ("_base", "_mask", "_parts", "_released", "_spans", "blocked_at")

    def __init__(self, mask: Mask) -> None:
        self._mask: Final = mask
        self._parts: list[str] = []  # joined only when some of it may leave: a text that is held whole comes in pieces
        self._base = 0  # where they begin
        self._released = 0
        self._spans: list[_Span] = []
        self.blocked_at: int | None = None
        """Where the finding begins because of which nothing leaves any more."""

    @property
    def released(self) -> int:
        """Up to where the text has left."""
        return self._released

    def add(self, text: str) -> None:
        self._parts.append(text)

    def hold(self, finding: Finding, action: Action, rank: int) -> None:
        """A part that must not leave as it is. Of findings in one part, the first, then the longest, then that of the
        lowest rank names it.
        """
        insort(self._spans, (finding.start, -finding.end, rank, action, finding), key=lambda span: span[:3])

    def release(self, settled: int) -> str:
        """What may leave when every finding that begins before `settled` is known."""
        if self.blocked_at is not None or (settled <= self._released and not self._spans):
            return ""
        out: list[str] = []
        done = 0
        while done < len(self._spans) and self.blocked_at is None:
            count, end, blocked_at = self._cluster(done)
            start, _, _, action, finding = self._spans[done]
            if start > settled or (end > settled and blocked_at is None):
                break
            out.append(self._take(start))
            part = self._take(end)
            self.blocked_at = blocked_at
            if blocked_at is None:
                out.append(self._mask(action, finding.code, part))
            done += count
        del self._spans[:done]
        if self.blocked_at is None:
            out.append(self._take(min(settled, self._spans[0][0] if self._spans else settled)))
            self._compact()
        else:
            self._parts = []
        return "".join(out)

    def _cluster(self, first: int) -> tuple[int, int, int | None]:
        """How many spans overlap with the first or with each other, where they end, and where the first that blocks
        begins.
        """
        count = 0
        end = 0
        blocked_at: int | None = None
        for index in range(first, len(self._spans)):
            start, minus_end, _, action, _ = self._spans[index]
            if count and start >= end:
                break
            count += 1
            end = max(end, -minus_end)
            if action is Action.BLOCK and blocked_at is None:
                blocked_at = start
        return count, end, blocked_at

    def _take(self, end: int) -> str:
        if end <= self._released:
            return ""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        start, self._released = self._released, end
        return self._parts[0][start - self._base : end - self._base]

    def _compact(self) -> None:
        """Lets go of what has left, once for all that leaves together."""
        if self._released > self._base and self._parts:
            text = self._parts[0][self._released - self._base :]
            self._parts[:1] = [text] if text else []
            self._base = self._released

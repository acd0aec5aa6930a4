"""What was found in a text, what follows from it, and what was decided. None of it ever holds the text itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where a text stands in a request."""

    INPUT = "input"
    OUTPUT = "output"
    TOOL_CALL = "tool_call"
    TOOL_RESULT = "tool_result"


class Action(StrEnum):
    """What follows from a finding, from the mildest to the strictest."""

    ALLOW = "allow"
    ANNOTATE = "annotate"
    MASK = "mask"
    MASK_REVERSIBLE = "mask_reversible"
    BLOCK = "block"

    @property
    def changes(self) -> bool:
        """Whether a text is not delivered as it is."""
        return self in (Action.MASK, Action.MASK_REVERSIBLE, Action.BLOCK)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a check saw in `[start, end)` of the text as it came, in characters. `score` is between 0 and 1."""

    check: str
    code: str
    """What it is, of the check's own closed set: EMAIL_ADDRESS, injection."""
    score: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Ruling:
    """What followed from a finding; `enforced` is false for checks that only observe."""

    finding: Finding
    action: Action
    enforced: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that did not judge: `reason` is of a closed set (raised, late, unavailable, nonsense)."""

    check: str
    reason: str
    closed: bool
    """The text was blocked for it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that was decided about one text, in the order of the text."""

    rulings: tuple[Ruling, ...]
    failures: tuple[Failure, ...]

    @property
    def action(self) -> Action:
        """The strictest that was enforced."""
        enforced = [ruling.action for ruling in self.rulings if ruling.enforced]
        enforced += [Action.BLOCK for failure in self.failures if failure.closed]
        return max(enforced, key=list(Action).index, default=Action.ALLOW)

"""A chain: checks in order, and for each what follows from what it finds. Contradictions are errors that name the
place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from guardrails.check import Check, Sight
from guardrails.verdict import Action, Phase


class ChainError(ValueError):
    """A chain that cannot be meant; the message begins with its place and says what would be right."""


class Beyond(StrEnum):
    """What is judged of a text that is longer than a check judges."""

    HEAD_AND_TAIL = "head_and_tail"
    SEGMENTS = "segments"
    REFUSE = "refuse"


class OnFailure(StrEnum):
    """What becomes of a text that a check could not judge, in time or at all."""

    OPEN = "fail_open"
    CLOSED = "fail_closed"


@dataclass(frozen=True, slots=True)
class Link:
    """A check in a chain."""

    check: Check
    phases: frozenset[Phase]
    action: Action
    enforced: bool = True
    """False: what it finds is recorded, and the text untouched."""
    on_failure: OnFailure = OnFailure.CLOSED
    deadline_ms: int | None = None
    """For each answer it needs; None where it needs none."""

    @property
    def holds(self) -> bool:
        """Whether text waits for it."""
        return self.enforced and (self.action.changes or self.on_failure is OnFailure.CLOSED)


@dataclass(frozen=True, slots=True)
class Chain:
    """Checks in the order in which they name what several of them found."""

    name: str
    links: tuple[Link, ...]

    def of(self, phase: Phase) -> tuple[Link, ...]:
        """The checks of a phase; none: such texts need not be looked at."""
        return tuple(link for link in self.links if phase in link.phases)

    def sight(self, phase: Phase) -> Sight | None:
        """The longest that a check of this phase holds a stream back; None if none does."""
        held = [link.check.sight for link in self.of(phase) if link.holds]
        return max(held, key=list(Sight).index, default=None)


def chain(name: str, links: Iterable[Link]) -> Chain:
    """A chain that can be meant. Raises `ChainError`."""
    made = Chain(name, tuple(links))
    seen: dict[tuple[str, Phase], int] = {}
    for number, link in enumerate(made.links):
        place = f"chains.{name}[{number}] ({link.check.name})"
        if not link.phases:
            raise ChainError(f"{place}: has no phase; one or more of {', '.join(Phase)}")
        if link.check.sight is Sight.WHOLE and link.action in (Action.MASK, Action.MASK_REVERSIBLE):
            raise ChainError(f"{place}: judges whole texts, so there is no part to mask; block or annotate")
        if link.action is Action.MASK_REVERSIBLE and link.phases & {Phase.OUTPUT, Phase.TOOL_CALL} == link.phases:
            raise ChainError(
                f"{place}: what a model says is masked for good; mask_reversible belongs to what it is told"
            )
        if link.deadline_ms is not None and link.deadline_ms <= 0:
            raise ChainError(f"{place}: a deadline of {link.deadline_ms} ms is over before it begins")
        for phase in link.phases:
            earlier = seen.setdefault((link.check.name, phase), number)
            if (
                earlier != number
                and made.links[earlier].action is Action.BLOCK
                and made.links[earlier].check == link.check
            ):
                raise ChainError(f"{place}: never reached in {phase}: entry {earlier} blocks what it would find")
    return made

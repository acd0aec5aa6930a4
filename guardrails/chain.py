"""A chain: checks in order, and for each what follows from what it finds. Contradictions are errors that name the
place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from guardrails.check import Asking, Check, Sight
from guardrails.checks.patterned import JoinedChecks, PatternCheck
from guardrails.checks.tools import ToolPolicy
from guardrails.verdict import Action, Phase

_PLACE: Final = re.compile(r"chains\.[^\[]*\[(\d+)\](?: \(\w+\))?: (?:(\w+): )?")


class ChainError(ValueError):
    """A chain that cannot be meant; the message begins with its place (`chains.mine[2] (pii): entities: …`) and says
    what would be right.
    """

    def __init__(self, message: str, others: tuple[ChainError, ...] = ()) -> None:
        super().__init__(message)
        self.others = others
        """What is wrong with other entries of the chain."""

    @property
    def place(self) -> tuple[int | str, ...]:
        """Which entry, counted from 0, and which of its keys, as far as either is told."""
        found = _PLACE.match(str(self))
        return () if found is None else (int(found[1]), *filter(None, [found[2]]))

    @property
    def told(self) -> str:
        """The message without that."""
        return _PLACE.sub("", str(self), count=1)


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
    entry: int | None = field(default=None, compare=False)
    """The entry of the configuration that it is of; one may stand for several links."""

    @property
    def holds(self) -> bool:
        """Whether text waits for it."""
        return self.enforced and (self.action.changes or self.on_failure is OnFailure.CLOSED)


@dataclass(frozen=True, slots=True)
class Row:
    """A check at work for links of a chain: for one, or for several that are joined. `links` is by the check's
    name, with the place in the chain, which says who names what several found.
    """

    check: Check
    links: dict[str, tuple[int, Link]]
    holds: bool


class Chain:
    """Checks in the order in which they name what several of them found."""

    __slots__ = ("_rows", "links", "name", "tools", "watched_tools")

    def __init__(
        self,
        name: str,
        links: tuple[Link, ...],
        tools: ToolPolicy | None = None,
        watched_tools: ToolPolicy | None = None,
    ) -> None:
        self.name: Final = name
        self.links: Final = links
        self.tools: Final = tools
        """Which tools may be offered and called."""
        self.watched_tools: Final = watched_tools
        """The same where it is only observed."""
        self._rows: Final = {phase: _rows(self.of(phase)) for phase in Phase}

    def of(self, phase: Phase) -> tuple[Link, ...]:
        """The checks of a phase; none: such texts need not be looked at."""
        return tuple(link for link in self.links if phase in link.phases)

    def rows(self, phase: Phase) -> tuple[Row, ...]:
        """The checks of a phase as a screen runs them."""
        return self._rows[phase]

    @property
    def asks(self) -> frozenset[tuple[str, str]]:
        """Kind and name of all that its checks may ask."""
        return frozenset(link.check.asks for link in self.links if isinstance(link.check, Asking))

    @property
    def reverses(self) -> bool:
        """Whether some of its masks are undone in answers."""
        return any(link.action is Action.MASK_REVERSIBLE and link.enforced for link in self.links)

    def sight(self, phase: Phase) -> Sight | None:
        """The longest that a check of this phase holds a stream back; None if none does."""
        held = [link.check.sight for link in self.of(phase) if link.holds]
        return max(held, key=list(Sight).index, default=None)


def _rows(links: tuple[Link, ...]) -> tuple[Row, ...]:
    """Pattern checks read a text together, those for which text waits apart from those for which it does not."""
    rows: list[Row] = []
    joined: dict[bool, list[tuple[int, Link]]] = {}
    for rank, link in enumerate(links):
        together = joined.setdefault(link.holds, [])
        if isinstance(link.check, PatternCheck) and all(each.check.name != link.check.name for _, each in together):
            together.append((rank, link))
        else:
            rows.append(Row(link.check, {link.check.name: (rank, link)}, link.holds))
    for holds, together in joined.items():
        checks = [link.check for _, link in together if isinstance(link.check, PatternCheck)]
        if checks:
            check = checks[0] if len(checks) == 1 else JoinedChecks(checks)
            rows.append(Row(check, {link.check.name: (rank, link) for rank, link in together}, holds))
    return tuple(rows)


def chain(
    name: str, links: Iterable[Link], tools: ToolPolicy | None = None, watched_tools: ToolPolicy | None = None
) -> Chain:
    """A chain that can be meant. Raises `ChainError`."""
    made = Chain(name, tuple(links), tools, watched_tools)
    seen: dict[tuple[str, Phase], int] = {}
    entries = [number if link.entry is None else link.entry for number, link in enumerate(made.links)]
    for number, link in enumerate(made.links):
        place = f"chains.{name}[{entries[number]}] ({link.check.name})"
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
                raise ChainError(
                    f"{place}: never reached in {phase}: entry {entries[earlier]} blocks what it would find"
                )
    return made


def joined(first: Chain, second: Chain) -> Chain:
    """Both: the checks of the first, then those of the second that the first does not have just so."""
    links = (*first.links, *(link for link in second.links if link not in first.links))
    tools = _both(first.tools, second.tools)
    watched = _both(first.watched_tools, second.watched_tools)
    return Chain(f"{first.name}+{second.name}", links, tools, watched)


def _both(first: ToolPolicy | None, second: ToolPolicy | None) -> ToolPolicy | None:
    return first.joined(second) if first is not None and second is not None else first or second

"""Checks made of patterns: each rule is a pattern, what it finds, and perhaps a judge of each match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from guardrails.check import Need, Nonsense, Sight, Step
from guardrails.patterns.automaton import MOST_STATES, Automaton
from guardrails.patterns.scan import Match, Scan
from guardrails.patterns.syntax import PatternError
from guardrails.verdict import Finding


@dataclass(frozen=True, slots=True)
class Rule:
    """Something to find. `judge` is told a match and the 64 characters before it, as a reader sees them, and says
    whether it counts; the pattern of a rule with a judge has a longest match.
    """

    code: str
    pattern: str
    score: float = 1.0
    judge: Callable[[str, str], bool] | None = None


class _Group:
    """Rules of one or more checks that are found by one automaton."""

    __slots__ = ("automaton", "judged", "names", "rules")

    def __init__(self, rules: Sequence[tuple[str, Rule]]) -> None:
        self.names: Final = [name for name, _ in rules]
        self.rules: Final = [rule for _, rule in rules]
        self.judged: Final = frozenset(number for number, rule in enumerate(self.rules) if rule.judge is not None)
        self.automaton: Final = Automaton([rule.pattern for rule in self.rules], self.judged)

    def scan(self) -> Scan:
        return Scan(self.automaton, self._judge if self.judged else None, self.judged)

    def findings(self, matches: list[Match]) -> list[Finding | Need]:
        rules, names = self.rules, self.names
        return [
            Finding(names[number], rules[number].code, rules[number].score, start, end)
            for number, start, end in matches
        ]

    def _judge(self, number: int, match: str, before: str) -> bool:
        judge = self.rules[number].judge
        return judge is None or judge(match, before)


class PatternCheck:
    """Finds what its rules say, in all of a text."""

    __slots__ = ("_groups", "name", "rules", "sight")

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        """Raises `PatternError`, and ValueError without a rule."""
        if not rules:
            raise ValueError(f"{name}: has no rule")
        self.name: Final = name
        self.sight: Final = Sight.PATTERN
        self.rules: Final = tuple((name, rule) for rule in rules)
        self._groups: Final = _groups(self.rules)

    def watch(self) -> PatternWatch:
        return PatternWatch(self._groups)


class JoinedChecks:
    """Several pattern checks that read a text once; each finding bears the name of its own check."""

    __slots__ = ("_groups", "name", "sight")

    def __init__(self, checks: Sequence[PatternCheck]) -> None:
        self.name: Final = "+".join(check.name for check in checks)
        self.sight: Final = Sight.PATTERN
        self._groups: Final = _groups([rule for check in checks for rule in check.rules])

    def watch(self) -> PatternWatch:
        return PatternWatch(self._groups)


def _groups(rules: Sequence[tuple[str, Rule]]) -> tuple[_Group, ...]:
    """Rules that need a telling character leap over most words; the others would keep them from it."""
    telling = [rule for rule in rules if Automaton([rule[1].pattern]).telling is not None]
    others = [rule for rule in rules if rule not in telling]
    return tuple(_Group(part) for part in (telling, others) if part)


class PatternWatch:
    """Pattern checks at work."""

    __slots__ = ("_scans",)

    def __init__(self, groups: Sequence[_Group]) -> None:
        self._scans: Final = [(group.scan(), group) for group in groups]

    @property
    def settled(self) -> int:
        return min([scan.settled for scan, _ in self._scans])

    def feed(self, text: str) -> Step:
        findings: Step = []
        for scan, group in self._scans:
            found = scan.feed(text)
            if found:
                findings += group.findings(found)
        return findings

    def finish(self) -> Step:
        return [finding for scan, group in self._scans for finding in group.findings(scan.finish())]

    def answer(self, number: int, value: object) -> Step:
        raise Nonsense(f"patterns asked nothing, and were answered {number}")


def bounded(pattern: str, judged: bool = False) -> str:
    """A pattern from a configuration, if it stays small. Raises `PatternError`: one that would explode is refused, and
    one whose matches are judged without a longest one.
    """
    if Automaton([pattern], frozenset({0} if judged else ())).count_states(MOST_STATES) > MOST_STATES:
        raise PatternError(
            pattern, 0, f"this needs more than {MOST_STATES} states: repeat less, or bound what is between"
        )
    return pattern

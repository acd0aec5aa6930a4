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


class PatternCheck:
    """Finds what its rules say, in all of a text."""

    __slots__ = ("_automaton", "_judged", "_rules", "name", "sight")

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        """Raises `PatternError`."""
        self.name: Final = name
        self.sight: Final = Sight.PATTERN
        self._rules: Final = tuple(rules)
        self._judged: Final = frozenset(number for number, rule in enumerate(rules) if rule.judge is not None)
        self._automaton: Final = Automaton([rule.pattern for rule in rules], self._judged)

    def watch(self) -> PatternWatch:
        return PatternWatch(
            self.name, self._rules, Scan(self._automaton, self._judge if self._judged else None, self._judged)
        )

    def _judge(self, number: int, match: str, before: str) -> bool:
        judge = self._rules[number].judge
        return judge is None or judge(match, before)


class PatternWatch:
    """A pattern check at work."""

    __slots__ = ("_name", "_rules", "_scan")

    def __init__(self, name: str, rules: Sequence[Rule], scan: Scan) -> None:
        self._name: Final = name
        self._rules: Final = rules
        self._scan: Final = scan

    @property
    def settled(self) -> int:
        return self._scan.settled

    def feed(self, text: str) -> Step:
        found = self._scan.feed(text)
        return self._findings(found) if found else []

    def finish(self) -> Step:
        return self._findings(self._scan.finish())

    def answer(self, number: int, value: object) -> Step:
        raise Nonsense(f"{self._name} asked nothing, and was answered {number}")

    def _findings(self, matches: list[Match]) -> list[Finding | Need]:
        rules = self._rules
        return [Finding(self._name, rules[number].code, rules[number].score, *place) for number, *place in matches]


def bounded(pattern: str) -> str:
    """A pattern from a configuration, if it stays small. Raises `PatternError`: one that would explode is refused."""
    if Automaton([pattern]).count_states(MOST_STATES) > MOST_STATES:
        raise PatternError(
            pattern, 0, f"this needs more than {MOST_STATES} states: repeat less, or bound what is between"
        )
    return pattern

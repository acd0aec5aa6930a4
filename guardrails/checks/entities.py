"""Personal data by form and by context: `pii`. What has a form is found by patterns of our own, character by character;
names, and identifiers of countries, by Presidio's analyzer, which the caller asks, sentence by sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from guardrails.check import Check, Nonsense, Sight, Step
from guardrails.checks import pii as forms
from guardrails.checks.allowed import allowing
from guardrails.checks.asked import AskedCheck, is_score
from guardrails.checks.custom import rules_of
from guardrails.checks.identifiers import COUNTRIES, IDENTIFIERS
from guardrails.checks.patterned import PatternCheck, Rule
from guardrails.ner import NAMED
from guardrails.verdict import Finding

NAME: Final = "pii"
KIND: Final = "entities"
THRESHOLD: Final = 0.4
"""What Presidio gives a weak pattern beside a word of its context; without one such a pattern has .01 to .3."""
_LEAST: Final = 200
"""Characters of a segment. A recogniser's call costs the more the shorter its texts are, and finds no less in these."""

SOURCES: Final = {
    "our patterns, in the stream": tuple(sorted(forms.ENTITIES)),
    "Presidio with spaCy's English model, in the check process": tuple(sorted(NAMED)),
    **{
        f"Presidio's recogniser, in the check process ({country})": tuple(recognisers)
        for country, recognisers in COUNTRIES.items()
    },
}
"""Who finds which entities."""


@dataclass(frozen=True, slots=True)
class EntityCheck(AskedCheck):
    """Asks for the entities of each segment: a list of (start, end, entity, score), places counted in the segment."""

    entities: frozenset[str] = NAMED

    def findings(self, value: object, start: int, end: int) -> Step:
        if not isinstance(value, list | tuple):
            raise Nonsense(f"{self.name}: an answer is a list of entities")
        found = [self._finding(each, start, end - start) for each in value]
        return [finding for finding in found if finding.code in self.entities and finding.score >= self.threshold]

    def _finding(self, entity: object, start: int, length: int) -> Finding:
        match entity:
            case [int(first), int(last), str(code), score] if 0 <= first < last <= length and is_score(score):
                return Finding(self.name, code, float(score), start + first, start + last)
        raise Nonsense(f"{self.name}: an entity is its start, end, name and score, within what was asked")


def pii(
    entities: Iterable[str] | None = None,
    custom: Mapping[str, object] | None = None,
    threshold: float = THRESHOLD,
    allow_list: Iterable[str] = (),
) -> tuple[Check, ...]:
    """The checks for these entities (all that have patterns of ours, if none are named) and for own recognisers
    (`custom`), as far as they score `threshold`, but for what is allowed. Those of patterns hold back no more text
    because others are asked for. Raises ValueError, whose message begins with the setting, for what cannot be meant.
    """
    own = custom or {}
    wanted = _known(forms.ENTITIES if entities is None else entities, own)
    rules = [rule for rule in forms.RULES if rule.code in wanted and rule.score >= threshold]
    if entities is not None:
        _reached(wanted & forms.ENTITIES, rules, threshold)
    for code, written in own.items():
        try:
            rules += rules_of(code, written, threshold)
        except ValueError as error:
            raise ValueError(f"custom: {code}: {error}") from error
    asked = frozenset(wanted & (NAMED | IDENTIFIERS.keys()))
    checks: list[Check] = []
    if rules:
        checks.append(PatternCheck(NAME, rules))
    if asked:
        who = ",".join(sorted(asked))
        checks.append(EntityCheck(NAME, KIND, who, "", threshold, Sight.SEGMENT, least=_LEAST, entities=asked))
    if not checks:
        raise ValueError("entities: names none")
    allowed = list(allow_list)
    return tuple(allowing(check, allowed) for check in checks)


def _known(entities: Iterable[str], own: Mapping[str, object]) -> frozenset[str]:
    wanted = frozenset(entities)
    known = forms.ENTITIES | NAMED | IDENTIFIERS.keys() | own.keys()
    for entity in sorted(wanted - known):
        near = get_close_matches(entity.upper(), known, 1)
        hint = f"do you mean {near[0]}? " if near else ""
        raise ValueError(f"entities: there is no {entity}; {hint}`lockgate checks list` names all")
    return wanted


def _reached(wanted: frozenset[str], rules: Iterable[Rule], threshold: float) -> None:
    lost = sorted(wanted - {rule.code for rule in rules})
    if lost:
        best = max(rule.score for rule in forms.RULES if rule.code == lost[0])
        raise ValueError(f"threshold: {lost[0]} never scores more than {best:g}, so at {threshold:g} it is never found")

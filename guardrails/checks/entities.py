"""Personal data by form and by context: `pii`. What has a form is found by patterns, character by character; names of
people, places and organisations by a recogniser that the caller asks, sentence by sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from guardrails.check import Check, Nonsense, Sight, Step
from guardrails.checks import pii as forms
from guardrails.checks.asked import AskedCheck, is_score
from guardrails.verdict import Finding

NAMED: Final = frozenset({"PERSON", "LOCATION", "ORGANIZATION", "NRP"})
"""What has no form, by Presidio's names; NRP is a nationality, a religious or a political group."""
KIND: Final = "entities"
RECOGNISER: Final = "presidio"
_LEAST: Final = 200
"""Characters of a segment. A recogniser's call costs the more the shorter its texts are, and finds no less in these."""


@dataclass(frozen=True, slots=True)
class EntityCheck(AskedCheck):
    """Asks for the entities of each segment: a list of (start, end, entity, score), places counted in the segment."""

    entities: frozenset[str] = NAMED

    def findings(self, value: object, start: int, end: int) -> Step:
        if not isinstance(value, list | tuple):
            raise Nonsense(f"{self.name}: an answer is a list of entities")
        found = [self._finding(each, start, end - start) for each in value]
        return [finding for finding in found if finding.code in self.entities]

    def _finding(self, entity: object, start: int, length: int) -> Finding:
        match entity:
            case [int(first), int(last), str(code), score] if 0 <= first < last <= length and is_score(score):
                return Finding(self.name, code, float(score), start + first, start + last)
        raise Nonsense(f"{self.name}: an entity is its start, end, name and score, within what was asked")


def pii(entities: Iterable[str] = forms.ENTITIES, custom: Mapping[str, str] | None = None) -> tuple[Check, ...]:
    """The checks for these entities, and for own ones by their patterns; those of patterns hold back no more text
    because others are asked for. Raises ValueError for an entity nobody knows, and for a pattern that is none.
    """
    wanted = set(entities)
    named = frozenset(wanted & NAMED)
    unknown = wanted - NAMED - forms.ENTITIES - set(custom or {})
    if unknown:
        known = ", ".join(sorted(NAMED | forms.ENTITIES))
        raise ValueError(f"no such entity: {', '.join(sorted(unknown))}; known are {known}")
    checks: list[Check] = []
    if wanted - named or custom:
        checks.append(forms.pii(wanted - named, custom))
    if named:
        checks.append(EntityCheck(forms.NAME, KIND, RECOGNISER, "", sight=Sight.SEGMENT, least=_LEAST, entities=named))
    if not checks:
        raise ValueError("names no entity")
    return tuple(checks)

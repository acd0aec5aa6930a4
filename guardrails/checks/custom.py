"""Recognisers that an admin writes for `pii`: patterns with a score, lists of words, and words beside which a weak
pattern counts.

    custom:
      BADGE: 'B-\\d{5}'
      STAFF_NUMBER: {patterns: ['\\b\\d{6}\\b'], score: 0.1, context: [staff number, employee]}
      PROJECT: {deny_list: [Project Falcon, Blue Heron]}

The names and the arithmetic of context are Presidio's (`PatternRecognizer`, `LemmaContextAwareEnhancer`); the engine is
the one of this package, so that texts may stream and no pattern explodes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from guardrails.characters import fold
from guardrails.checks.patterned import Rule, bounded
from guardrails.checks.words import ANY_GAP, SHORT_GAP, phrases

RAISE: Final = 0.35
RAISED_AT_LEAST: Final = 0.4
"""What a word of the context does to a score."""
_KEYS: Final = ("patterns", "deny_list", "score", "context")
_STRENGTH: Final = 1.0
"""The score of a pattern or a word that names none."""


def rules_of(code: str, written: object, threshold: float) -> list[Rule]:
    """The rules of one recogniser that can reach a threshold. Raises ValueError, also for a pattern that would explode
    and for a recogniser of which nothing could ever be found.
    """
    recogniser = {"patterns": [written]} if isinstance(written, str) else written
    if not isinstance(recogniser, Mapping):
        raise ValueError("a pattern is wanted, or a map of patterns, deny_list, score, context")
    for key in recogniser:
        if key not in _KEYS:
            raise ValueError(f"{key} is unknown here; known are {', '.join(_KEYS)}")
    score = _score(recogniser.get("score", _STRENGTH))
    context = _words(recogniser, "context")
    rules: list[Rule] = []
    for pattern, strength in _patterns(recogniser.get("patterns", ()), score):
        rule = _rule(code, strength, context, threshold)
        rules.append(Rule(code, bounded(pattern, rule.judge is not None), rule.score, rule.judge))
    denied = _words(recogniser, "deny_list")
    rule = _rule(code, score, context, threshold)
    gap = ANY_GAP if rule.judge is None else SHORT_GAP
    rules += [Rule(code, pattern, rule.score, rule.judge) for pattern in phrases(denied, gap)]
    if not rules:
        raise ValueError("has neither patterns nor a deny_list")
    return rules


def _rule(code: str, score: float, context: Sequence[str], threshold: float) -> Rule:
    """A rule without its pattern: beside its context only, where its own score is too low."""
    if score >= threshold:
        return Rule(code, "", score)
    raised = min(1.0, max(score + RAISE, RAISED_AT_LEAST))
    if context and raised >= threshold:
        return Rule(code, "", raised, _beside(context))
    reach = f"with a word of its context {raised:g}" if context else "without a context no more"
    raise ValueError(f"a score of {score:g}, {reach}, is below the threshold of {threshold:g}: it would find nothing")


def _beside(context: Sequence[str]) -> Callable[[str, str], bool]:
    """Whether a word that begins like one of the context stands before a match."""
    spaced = (r"\s+".join(map(re.escape, fold(phrase).split())) for phrase in context)
    words = re.compile(rf"(?i)(?<!\w)(?:{'|'.join(spaced)})")
    return lambda _, before: words.search(before) is not None


def _patterns(written: object, score: float) -> Iterator[tuple[str, float]]:
    """Patterns with their scores: each a pattern, or a map of `regex` and `score`."""
    if not isinstance(written, list | tuple):
        raise ValueError("patterns: a list is wanted")
    for each in written:
        match each:
            case str(pattern):
                yield pattern, score
            case {"regex": str(pattern), **rest} if set(rest) <= {"score"}:
                yield pattern, _score(rest.get("score", score))
            case _:
                raise ValueError("patterns: each is a pattern, or a map of its regex and its score")


def _words(recogniser: Mapping[Any, Any], key: str) -> list[str]:
    words = recogniser.get(key, ())
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError(f"{key}: a list of words is wanted, none of them blank")
    return list(words)


def _score(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ValueError("score: above 0, and at most 1")
    return float(value)

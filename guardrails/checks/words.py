"""Words and patterns from a configuration: `keywords` and `regex`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from guardrails.checks.patterned import PatternCheck, Rule, bounded
from guardrails.patterns.syntax import PatternError


def keywords(words: Iterable[str], code: str = "keyword") -> PatternCheck:
    """Finds whole words or phrases, in any case. Raises ValueError for one that is blank."""
    rules = []
    for word in words:
        parts = word.split()
        if not parts:
            raise ValueError("a keyword is blank")
        phrase = r"\s+".join(map(_literal, parts))
        rules.append(Rule(code, f"(?i)(?<!\\w){phrase}(?!\\w)"))
    return PatternCheck("keywords", rules)


def regex(patterns: Mapping[str, str]) -> PatternCheck:
    """Finds patterns, by the code that each is to have. Raises ValueError for one that is none or would explode."""
    rules = []
    for code, pattern in patterns.items():
        try:
            rules.append(Rule(code, bounded(pattern)))
        except PatternError as error:
            raise ValueError(f"{code}: {error}") from error
    return PatternCheck("regex", rules)


def _literal(word: str) -> str:
    return re.sub(r"([^\w])", r"\\\1", word)

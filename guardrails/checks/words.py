"""Words and patterns from a configuration: `keywords` and `regex`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from guardrails.characters import fold
from guardrails.checks.patterned import PatternCheck, Rule, bounded
from guardrails.patterns.syntax import PatternError

ANY_GAP: Final = r"\s+"
SHORT_GAP: Final = r"\s{1,9}"
"""Between the words of a phrase whose matches are judged, which must have a longest one."""

_TOGETHER: Final = 1_000
"""Characters of the words that one pattern stands for, which keeps it within the steps a pattern may have."""
_DEEPEST: Final = 20
"""Groups in groups."""


def keywords(words: Iterable[str], code: str = "keyword") -> PatternCheck:
    """Finds whole words or phrases, in any case. Raises ValueError for one that is blank."""
    return PatternCheck("keywords", [Rule(code, pattern) for pattern in phrases(words)])


def regex(patterns: Mapping[str, str]) -> PatternCheck:
    """Finds patterns, by the code that each is to have. Raises ValueError for one that is none or would explode."""
    rules = []
    for code, pattern in patterns.items():
        try:
            rules.append(Rule(code, bounded(pattern)))
        except PatternError as error:
            raise ValueError(f"{code}: {error}") from error
    return PatternCheck("regex", rules)


def phrases(words: Iterable[str], gap: str = ANY_GAP) -> Iterator[str]:
    """Patterns of whole words or phrases, in any case, however they are spaced. What begins alike is written once, so
    that a text takes hardly longer for ten thousand words than for ten. Raises ValueError for one that is blank.
    """
    together: list[tuple[str, ...]] = []
    size = 0
    for word in sorted({" ".join(unicodedata.normalize("NFKC", each).split()) for each in words}):
        if not word:
            raise ValueError("a word is blank")
        if together and size + len(word) > _TOGETHER:
            yield _whole(together)
            together, size = [], 0
        together.append(tuple(gap if letter == " " else _in_any_case(letter) for letter in word))
        size += len(word)
    if together:
        yield _whole(together)


def _whole(words: Sequence[tuple[str, ...]]) -> str:
    return rf"(?<!\w){_one_of(words, 0)}(?!\w)"


def _one_of(words: Sequence[tuple[str, ...]], depth: int) -> str:
    """A pattern of any of these, each a sequence of patterns of one character."""
    shared = 0
    while all(len(word) > shared and word[shared] == words[0][shared] for word in words):
        shared += 1
    beginning = "".join(words[0][:shared])
    rest = [word[shared:] for word in words if len(word) > shared]
    if not rest:
        return beginning
    if depth == _DEEPEST:
        parts = ["".join(word) for word in rest]
    else:
        by_first: dict[str, list[tuple[str, ...]]] = {}
        for word in rest:
            by_first.setdefault(word[0], []).append(word)
        parts = [_one_of(alike, depth + 1) for alike in by_first.values()]
    return f"{beginning}(?:{'|'.join(parts)}){'?' if len(rest) < len(words) else ''}"


def _in_any_case(letter: str) -> str:
    """A pattern of a letter as texts are read: lookalikes of Latin ones as those (`characters.fold`)."""
    seen = sorted({each for each in map(fold, (letter, letter.lower(), letter.upper())) if len(each) == 1})
    if len(seen) > 1:
        return f"[{''.join(seen)}]"
    only = seen[0] if seen else letter
    return only if re.match(r"\w", only) else f"\\{only}"

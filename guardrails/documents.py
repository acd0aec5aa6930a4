"""JSON documents that every reader reads alike: what models write as answers and as arguments of tools."""

from __future__ import annotations

import json
import math
import re
from enum import StrEnum
from typing import Final

DEEPEST: Final = 32
_NO_BRACKETS: Final = re.compile(r'"(?:[^"\\]|\\.|\\\Z)*+(?:"|\Z)|[^\[\]{}"]++', re.DOTALL)
"""Strings, also one that never ends, and what is beside them; what begins to match matches, so time is linear."""


class Flaw(StrEnum):
    """What keeps a text from being one such document."""

    NO_JSON = "no_json"
    TOO_DEEP = "too_deep"
    TWICE = "twice"
    """An object names a member twice; which of the two counts depends on the reader."""


class Unreadable(ValueError):
    """A text that is no such document; says why, and never what it held."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw)
        self.flaw: Final = flaw


def read(text: str) -> object:
    """What a JSON text holds. Raises `Unreadable`, also for numbers that are none (NaN), for those that no float or
    no 4,300 digits can hold, and for brackets deeper than `DEEPEST`.
    """
    if _is_deep(text):
        raise Unreadable(Flaw.TOO_DEEP)
    try:
        return json.loads(text, object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite)
    except Unreadable:
        raise
    except ValueError:
        raise Unreadable(Flaw.NO_JSON) from None  # the first error quotes the text


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise Unreadable(Flaw.TWICE)
    return made


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise Unreadable(Flaw.NO_JSON)
    return number


def _is_deep(text: str) -> bool:
    """Whether brackets outside strings are nested too deep for a parser that recurses."""
    depth = 0
    for bracket in _NO_BRACKETS.sub("", text):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST:
            return True
    return False

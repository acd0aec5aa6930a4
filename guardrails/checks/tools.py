"""Which tools a model may be offered and may call, by name: a decision over calls and not over text.

A result of a tool that strangers can write to (a search, a mailbox) may hold instructions. After such a result, tools
that are privileged are refused until the caller speaks again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

NOT_ALLOWED: Final = "tool_not_allowed"
AFTER_UNTRUSTED: Final = "privileged_after_untrusted"
NO_OBJECT: Final = "arguments_no_object"
TOO_DEEP: Final = "arguments_too_deep"
TWICE: Final = "argument_twice"

DEEPEST: Final = 32


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """Names may hold `*`. `allow` None allows all."""

    allow: tuple[str, ...] | None = None
    privileged: tuple[str, ...] = ()
    untrusted_results: tuple[str, ...] = ()

    def refused_offers(self, names: Iterable[str]) -> list[str]:
        """The tools that are not to be offered to the model."""
        return [name for name in names if not self._allows(name)]

    def refusal(self, name: str, arguments: str, results: Iterable[str] = ()) -> str | None:
        """Why a call is refused, of a closed set; None if it is not. `arguments` is the JSON the model wrote,
        `results` the names of the tools whose results it has read since the caller last spoke.
        """
        if not self._allows(name):
            return NOT_ALLOWED
        if _matches(self.privileged, name) and any(_matches(self.untrusted_results, each) for each in results):
            return AFTER_UNTRUSTED
        return _malformed(arguments)

    def _allows(self, name: str) -> bool:
        return self.allow is None or _matches(self.allow, name)


def policy(
    allow: Iterable[str] | None = None, privileged: Iterable[str] = (), untrusted_results: Iterable[str] = ()
) -> ToolPolicy:
    """The policy. Raises ValueError where one half of a rule lacks the other."""
    made = ToolPolicy(None if allow is None else tuple(allow), tuple(privileged), tuple(untrusted_results))
    if bool(made.privileged) is not bool(made.untrusted_results):
        lacking = "untrusted_results" if made.privileged else "privileged"
        raise ValueError(f"{lacking} is missing: privileged tools are refused after untrusted results")
    if made == ToolPolicy():
        raise ValueError("refuses nothing; name what to allow, or privileged and untrusted_results")
    return made


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class _Twice(ValueError):
    pass


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _Twice
    return made


def _malformed(arguments: str) -> str | None:
    """Why arguments are not one JSON object that every reader reads alike. No arguments at all are an empty object."""
    if not arguments.strip():
        return None
    if _depth(arguments) > DEEPEST:
        return TOO_DEEP
    try:
        found = json.loads(arguments, object_pairs_hook=_once)
    except _Twice:
        return TWICE
    except ValueError:
        return NO_OBJECT
    return None if isinstance(found, dict) else NO_OBJECT


def _depth(text: str) -> int:
    """How deep brackets are nested outside strings, before a parser that recurses is given the text."""
    depth = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest

"""Which tools a model may be offered and may call, by name: a decision over calls and not over text.

A result of a tool that strangers can write to (a search, a mailbox) may hold instructions. After such a result, tools
that are privileged are refused until the caller speaks again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from guardrails.documents import Flaw, Unreadable, read
from guardrails.schemas import Schema

ALL: Final = "*"
NOT_ALLOWED: Final = "tool_not_allowed"
AFTER_UNTRUSTED: Final = "privileged_after_untrusted"
NO_OBJECT: Final = "arguments_no_object"
TOO_DEEP: Final = "arguments_too_deep"
TWICE: Final = "argument_twice"
NOT_VALID: Final = "arguments_schema"

_FLAWS: Final = {Flaw.NO_JSON: NO_OBJECT, Flaw.TOO_DEEP: TOO_DEEP, Flaw.TWICE: TWICE}


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """Names may hold `*`. `allow` None allows all."""

    allow: tuple[str, ...] | None = None
    privileged: tuple[str, ...] | None = ()
    """None: every tool but those of `untrusted_results`."""
    untrusted_results: tuple[str, ...] = ()
    arguments: tuple[tuple[str, Schema], ...] = ()
    """Arguments are valid against the schema of every name that fits."""
    also: ToolPolicy | None = None
    """Another that must allow a call as well."""

    def joined(self, other: ToolPolicy) -> ToolPolicy:
        """Both must allow a call."""
        return replace(self, also=other if self.also is None else self.also.joined(other))

    def refused_offers(self, names: Iterable[str]) -> list[str]:
        """The tools that are not to be offered to the model."""
        return [name for name in names if not self._allows(name)]

    def refusal(self, name: str, arguments: str, results: Iterable[str] = ()) -> str | None:
        """Why a call is refused, of a closed set; None if it is not. `arguments` is the JSON the model wrote,
        `results` the names of the tools whose results it has read since the caller last spoke; "" is one nobody knows.
        """
        return self.refusal_by_name(name, results) or _malformed(arguments, self._schemas(name))

    def refusal_of_text(self, name: str, results: Iterable[str] = ()) -> str | None:
        """The same for a call whose input is free text: it fits no schema."""
        return self.refusal_by_name(name, results) or (NO_OBJECT if self._schemas(name) else None)

    def refusal_by_name(self, name: str, results: Iterable[str] = ()) -> str | None:
        """The same as far as it does not depend on what is given to the tool."""
        if not self._allows(name):
            return NOT_ALLOWED
        if self._is_privileged(name) and any(not each or _matches(self.untrusted_results, each) for each in results):
            return AFTER_UNTRUSTED
        return None if self.also is None else self.also.refusal_by_name(name, results)

    def _schemas(self, name: str) -> list[Schema]:
        also = [] if self.also is None else self.also._schemas(name)
        return [schema for pattern, schema in self.arguments if _matches((pattern,), name)] + also

    def _is_privileged(self, name: str) -> bool:
        if self.privileged is None:
            return not _matches(self.untrusted_results, name)
        return _matches(self.privileged, name)

    def _allows(self, name: str) -> bool:
        allowed = self.allow is None or _matches(self.allow, name)
        return allowed and (self.also is None or self.also._allows(name))


def policy(
    allow: Iterable[str] | None = None,
    privileged: Iterable[str] | None = None,
    untrusted_results: Iterable[str] | None = None,
    arguments: Mapping[str, Mapping[str, object]] | None = None,
) -> ToolPolicy:
    """The policy. Of `privileged` and `untrusted_results`, the one that is left out is all tools that the other does
    not name: who forgets one is refused too much, and sees it. Raises ValueError for a schema that is none, and for a
    policy that refuses nothing.
    """
    schemas = tuple((name, _schema(name, written)) for name, written in (arguments or {}).items())
    guarded, untrusted = tuple(privileged or ()), tuple(untrusted_results or ())
    made = ToolPolicy(
        None if allow is None else tuple(allow),
        None if untrusted and privileged is None else guarded,
        (ALL,) if guarded and untrusted_results is None else untrusted,
        schemas,
    )
    if made.allow is None and not schemas and (made.privileged == () or not made.untrusted_results):
        raise ValueError("refuses nothing; name what to allow, privileged and untrusted_results, or arguments")
    return made


def _schema(name: str, written: Mapping[str, object]) -> Schema:
    try:
        return Schema(written)
    except ValueError as error:
        raise ValueError(f"arguments: {name}: {error}") from error


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _malformed(arguments: str, schemas: Iterable[Schema]) -> str | None:
    """Why arguments are not one JSON object that every reader reads alike, and valid. No arguments at all are an empty
    object.
    """
    try:
        found = read(arguments) if arguments.strip() else {}
    except Unreadable as error:
        return _FLAWS[error.flaw]
    if not isinstance(found, dict):
        return NO_OBJECT
    return None if all(schema.fits(found) for schema in schemas) else NOT_VALID

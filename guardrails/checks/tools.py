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
    privileged: tuple[str, ...] = ()
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
        if not self._allows(name):
            return NOT_ALLOWED
        if _matches(self.privileged, name) and any(
            not each or _matches(self.untrusted_results, each) for each in results
        ):
            return AFTER_UNTRUSTED
        schemas = [schema for pattern, schema in self.arguments if _matches((pattern,), name)]
        refused = _malformed(arguments, schemas)
        return self.also.refusal(name, arguments, results) if refused is None and self.also is not None else refused

    def _allows(self, name: str) -> bool:
        allowed = self.allow is None or _matches(self.allow, name)
        return allowed and (self.also is None or self.also._allows(name))


def policy(
    allow: Iterable[str] | None = None,
    privileged: Iterable[str] = (),
    untrusted_results: Iterable[str] = (),
    arguments: Mapping[str, Mapping[str, object]] | None = None,
) -> ToolPolicy:
    """The policy. Raises ValueError where one half of a rule lacks the other, and for a schema that is none."""
    schemas = tuple((name, _schema(name, written)) for name, written in (arguments or {}).items())
    made = ToolPolicy(None if allow is None else tuple(allow), tuple(privileged), tuple(untrusted_results), schemas)
    if bool(made.privileged) is not bool(made.untrusted_results):
        lacking = "untrusted_results" if made.privileged else "privileged"
        raise ValueError(f"{lacking} is missing: privileged tools are refused after untrusted results")
    if made == ToolPolicy():
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

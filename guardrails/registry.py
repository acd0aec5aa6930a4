"""All checks there are. Adding one is a file in `checks/` and an entry here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import Any, Final

from guardrails.verdict import Phase


class Kind(StrEnum):
    """What a setting's value is."""

    SHARE = "a number from 0 to 1"
    COUNT = "a whole number above 0"
    WORD = "a word"
    WORDS = "a list of words"
    BEYOND = "what is judged of longer texts: head_and_tail, segments or refuse"
    PATTERNS = "a map from a code to its pattern"
    RECOGNISERS = "a map from a code to its pattern, or to patterns, deny_list, score and context"
    SCHEMA = "a JSON Schema"
    SCHEMAS = "a map from a tool to the JSON Schema of its arguments"


@dataclass(frozen=True, slots=True)
class Option:
    """A setting of a check, and the argument it becomes."""

    argument: str
    kind: Kind
    required: bool = False


@dataclass(frozen=True, slots=True)
class Registered:
    """A check by the name a chain calls it. `target` is what makes it; imported when a chain uses it."""

    target: str
    finds: str
    options: dict[str, Option] = field(default_factory=dict)
    asks: bool = False
    """Needs answers, and so may have a deadline."""
    phases: tuple[Phase, ...] = tuple(Phase)
    """Where what it judges is found."""
    sources: str = ""
    """Where it is said who finds what of it; imported when it is told."""

    def make(self, **arguments: object) -> Any:
        """The check, or several that are one to an admin. Raises ValueError for settings that cannot be meant."""
        return _named(self.target)(**arguments)

    def found_by(self) -> Mapping[str, tuple[str, ...]]:
        """Who finds what, where a check is made of several."""
        found: Mapping[str, tuple[str, ...]] = _named(self.sources) if self.sources else {}
        return found


def _named(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)


_THRESHOLD: Final = {"threshold": Option("threshold", Kind.SHARE)}
_LONGEST: Final = {"max_chars": Option("most", Kind.COUNT)}
_IN_PARTS: Final = {**_LONGEST, "beyond": Option("beyond", Kind.BEYOND)}
_WHICH: Final = {"target": Option("target", Kind.WORD, True), "code": Option("code", Kind.WORD, True)}

CHECKS: Final = {
    "injection": Registered(
        "guardrails.checks.asked:injection",
        "attempts to turn a model against its instructions",
        {**_THRESHOLD, **_IN_PARTS},
        asks=True,
    ),
    "keywords": Registered(
        "guardrails.checks.words:keywords",
        "whole words and phrases",
        {"words": Option("words", Kind.WORDS, True), "code": Option("code", Kind.WORD)},
    ),
    "length": Registered(
        "guardrails.checks.length:LengthCheck",
        "everything after so many characters",
        {"max_chars": Option("most", Kind.COUNT, True)},
    ),
    "model": Registered(
        "guardrails.checks.asked:model",
        "what a model behind the gateway scores",
        {**_WHICH, **_THRESHOLD, **_IN_PARTS},
        asks=True,
    ),
    "pii": Registered(
        "guardrails.checks.entities:pii",
        "personal data",
        {
            "entities": Option("entities", Kind.WORDS),
            "custom": Option("custom", Kind.RECOGNISERS),
            **_THRESHOLD,
            "allow_list": Option("allow_list", Kind.WORDS),
        },
        asks=True,
        sources="guardrails.checks.entities:SOURCES",
    ),
    "regex": Registered(
        "guardrails.checks.words:regex", "patterns", {"patterns": Option("patterns", Kind.PATTERNS, True)}
    ),
    "schema": Registered(
        "guardrails.checks.schema:SchemaCheck",
        "answers that are no JSON document valid against a schema",
        {"schema": Option("schema", Kind.SCHEMA, True), **_LONGEST},
        phases=(Phase.OUTPUT,),
    ),
    "secrets": Registered("guardrails.checks.secrets:secrets", "keys and passwords"),
    "tools": Registered(
        "guardrails.checks.tools:policy",
        "calls of tools that are not allowed, or with arguments that are not valid",
        {
            **{name: Option(name, Kind.WORDS) for name in ("allow", "privileged", "untrusted_results")},
            "arguments": Option("arguments", Kind.SCHEMAS),
        },
        phases=(Phase.TOOL_CALL,),
    ),
    "topics": Registered(
        "guardrails.checks.topics:topics",
        "texts about what is denied, or about nothing that is allowed",
        {
            **{name: Option(name, Kind.WORDS) for name in ("allow", "deny")},
            **_THRESHOLD,
            "model": Option("model", Kind.WORD),
        },
        asks=True,
    ),
    "toxicity": Registered("guardrails.checks.asked:toxicity", "insults, hate and threats", {**_THRESHOLD}, asks=True),
    "webhook": Registered(
        "guardrails.checks.asked:webhook", "what a webhook scores", {**_WHICH, **_THRESHOLD, **_IN_PARTS}, asks=True
    ),
}

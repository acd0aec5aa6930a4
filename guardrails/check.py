"""What a check is: a pure function of text and state. What it cannot do itself (a classifier, an embedding, a
webhook, a model) it asks of the caller, as a `Need`, and is told the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from guardrails.verdict import Finding


class Sight(StrEnum):
    """How much of a text a check must have seen to judge, which is how long it may hold a stream back."""

    PATTERN = "pattern"
    """All of it, character by character: holds back while a match is open."""
    SEGMENT = "segment"
    """Sentence by sentence: holds back until a sentence is judged."""
    WHOLE = "whole"
    """The whole: holds back everything."""


@dataclass(frozen=True, slots=True)
class Need:
    """A call the caller makes for a check. `kind` is classifier, entities, similarity, webhook or model; `name` is
    which one.
    """

    kind: str
    name: str
    text: str
    number: int
    """Told back with the answer; counts up from 0 for each text and check."""


Step = list[Finding | Need]


class Watch(Protocol):
    """A check at work on one text, which may come in pieces."""

    @property
    def settled(self) -> int:
        """All findings that begin before this place were told. Never falls."""

    def feed(self, text: str) -> Step:
        """What the next characters show."""

    def finish(self) -> Step:
        """What the end of the text shows."""

    def answer(self, number: int, value: object) -> Step:
        """What the answer to a need shows. Raises `Nonsense` if it is none, and is then where it was."""


class Check(Protocol):
    """Something to look for in texts. Has no state of its own: `watch` begins a text."""

    @property
    def name(self) -> str: ...

    @property
    def sight(self) -> Sight: ...

    def watch(self) -> Watch: ...


@runtime_checkable
class Asking(Protocol):
    """A check that has needs."""

    @property
    def asks(self) -> tuple[str, str]:
        """Kind and name of what it asks."""
        ...


class Nonsense(ValueError):
    """The answer to a need that is none: of another type, or out of bounds."""

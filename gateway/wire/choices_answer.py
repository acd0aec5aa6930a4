"""A whole answer that is made of choices, edited: what chat and completions have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from gateway.errors import UpstreamProtocol
from gateway.wire import choices, json_values
from gateway.wire.edits import Outcome, Part

_BEHIND: Final = Outcome("", blocked=True)


class ReadChoice(ABC):
    """One of the `n`; `parts` are its texts in order."""

    __slots__ = ("parts",)

    def __init__(self, parts: Sequence[Part]) -> None:
        self.parts: Final = parts

    @abstractmethod
    def said(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        """The members that hold the texts, with these in place of `parts`; what stands behind a block is blocked."""


class ChoicesAnswer(ABC):
    """The answer; a format adds `read`."""

    __slots__ = ("_answer", "_choices")

    def __init__(self, body: bytes) -> None:
        """Raises UpstreamProtocol for what is not an answer of the format."""
        try:
            answer = json_values.read(body)
        except ValueError:
            raise UpstreamProtocol(choices.MISSHAPEN) from None
        if not isinstance(answer, dict) or not isinstance(answer.get("choices"), list):
            raise UpstreamProtocol(choices.MISSHAPEN)
        self._answer: Final = answer
        self._choices: Final = [
            (each, choices.reason(each), self.read(each, choices.number(each, place), f"choices[{place}]"))
            for place, each in enumerate(choices.objects(answer, "choices"))
        ]

    @abstractmethod
    def read(self, choice: dict[str, Any], number: int, place: str) -> ReadChoice:
        """Raises UpstreamProtocol."""

    @property
    def parts(self) -> Sequence[Part]:
        return [part for _, _, choice in self._choices for part in choice.parts]

    def said(self, outcomes: Sequence[Outcome]) -> bytes:
        if len(outcomes) != len(self.parts):
            raise ValueError(f"{len(outcomes)} outcomes for {len(self.parts)} parts")
        following = iter(outcomes)
        said = [
            {**_beside(told), **_said(choice, list(islice(following, len(choice.parts))), reason)}
            for told, reason, choice in self._choices
        ]
        try:
            return json_values.written({**choices.beside(self._answer), "choices": said})
        except ValueError:
            raise UpstreamProtocol(choices.MISSHAPEN) from None


def _beside(told: dict[str, Any]) -> dict[str, Any]:
    kept = choices.without_texts(told)
    return {**kept, "index": told["index"]} if "index" in told else kept


def _said(choice: ReadChoice, outcomes: Sequence[Outcome], reason: str | None) -> dict[str, Any]:
    blocked = False
    left: list[Outcome] = []
    for outcome in outcomes:
        left.append(_BEHIND if blocked else outcome)
        blocked = blocked or outcome.blocked
    return {**choice.said(left), "logprobs": None, "finish_reason": choices.FILTERED if blocked else reason}

"""A whole answer to a completion, edited: the text of each choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.wire import choices
from gateway.wire.choices_answer import ChoicesAnswer, ReadChoice
from gateway.wire.edits import OUTPUT, Outcome, Part


class _Completion(ReadChoice):
    __slots__ = ()

    def said(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        return {"text": "".join(outcome.text for outcome in outcomes)}


class CompletionsAnswer(ChoicesAnswer):
    """See `edits.Answer`."""

    __slots__ = ()

    def read(self, choice: dict[str, Any], number: int, place: str) -> ReadChoice:
        text = choices.text(choice, "text")
        return _Completion([Part(f"{place}.text", OUTPUT, text, choice=number)] if text else [])

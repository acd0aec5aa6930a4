"""A whole chat answer, edited: the texts of its messages in the order in which a stream says them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from gateway.wire import choices, message
from gateway.wire.choices_answer import ChoicesAnswer, ReadChoice
from gateway.wire.edits import OUTPUT, TOOL_CALL, Outcome, Part


class _Message(ReadChoice):
    __slots__ = ("_calls", "_function", "_texts", "_told")

    def __init__(self, told: dict[str, Any], number: int, place: str) -> None:
        self._told: Final = told
        self._texts: Final[list[tuple[str, ...]]] = []
        parts: list[Part] = []
        for names in message.TEXTS.values():
            text = choices.text(told, *names)
            if text:
                said = tuple(name for name in names if told.get(name))
                self._texts.append(said)
                parts.append(Part(f"{place}.{said[0]}", OUTPUT, text, choice=number))
        self._calls: Final = choices.objects(told, message.CALLS)
        for at, call in enumerate(self._calls):
            holder = message.holder(call)
            called = choices.member(call, holder[0])
            parts.append(_arguments(f"{place}.{message.CALLS}[{at}].{holder[0]}", called, holder, number))
        self._function: Final = choices.member(told, message.FUNCTION_CALL)
        if self._function:
            parts.append(_arguments(f"{place}.{message.FUNCTION_CALL}", self._function, message.FUNCTION, number))
        super().__init__(parts)

    def said(self, outcomes: Sequence[Outcome]) -> dict[str, Any]:
        said = choices.without_texts(self._told)
        following = iter(outcomes)
        for names in self._texts:
            said.update(dict.fromkeys(names, next(following).text))
        calls = [_call(call, outcome.text) for call in self._calls if not (outcome := next(following)).blocked]
        if calls:
            said[message.CALLS] = calls
        if self._function and not (outcome := next(following)).blocked:
            said[message.FUNCTION_CALL] = _called(self._function, message.FUNCTION, outcome.text)
        return {"message": said}


def _arguments(place: str, called: dict[str, Any], holder: tuple[str, str], number: int) -> Part:
    return Part(
        f"{place}.{holder[1]}",
        TOOL_CALL,
        choices.text(called, holder[1]),
        is_json=holder == message.FUNCTION,
        tool=choices.text(called, "name"),
        choice=number,
    )


def _call(call: dict[str, Any], text: str) -> dict[str, Any]:
    holder = message.holder(call)
    return {**message.about(call), holder[0]: _called(choices.member(call, holder[0]), holder, text)}


def _called(called: dict[str, Any], holder: tuple[str, str], text: str) -> dict[str, Any]:
    return {"name": choices.text(called, "name"), holder[1]: text}


class ChatAnswer(ChoicesAnswer):
    """See `edits.Answer`."""

    __slots__ = ()

    def read(self, choice: dict[str, Any], number: int, place: str) -> ReadChoice:
        return _Message(choices.member(choice, "message"), number, f"{place}.message")

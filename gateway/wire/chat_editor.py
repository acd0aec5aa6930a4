"""A streamed chat answer, edited: reasoning, content, refusal and the arguments of tool calls, each through its outlet.

- A tool call is told from when something of its arguments may be delivered, with the whole name it was judged by.
- A text that is said while a tool call's arguments come is told after them.
- A text that goes on after another one was said is a text of its own, and begins on a new line.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.errors import UpstreamProtocol
from gateway.wire import choices, message
from gateway.wire.call import Call
from gateway.wire.chat_chunks import Numbering
from gateway.wire.choices_editor import ChoicesEditor, Delta, Deltas, EditedChoice
from gateway.wire.edits import TOOL_CALL, Channel, Opening

IN_TURNS: Final = "the backend went on with a tool call after it had begun another one"


class _TextPlace:
    """A text under the names a backend gives it."""

    __slots__ = ("names",)

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names: Final = names

    def said(self, text: str) -> Delta:
        return dict.fromkeys(self.names, text)

    def unsaid(self) -> None:
        return None


class _CallPlace:
    """A tool call; what was told of it is not told again. `number` None: a `function_call`."""

    __slots__ = ("_begun", "_member", "_name", "_number", "_owed", "_text", "_told", "is_open")

    def __init__(self, number: int | None) -> None:
        self._number: Final = number
        self._member, self._text = message.FUNCTION
        self._name = ""
        self._told: Delta = {}
        self._owed: Delta = {}
        self._begun = False
        self.is_open = False

    def open(self, choice: int) -> Channel:
        """The channel of its text; the name is from now on what it is."""
        self.is_open = True
        is_json = self._member == message.FUNCTION[0]
        return Channel(choice, "arguments", TOOL_CALL, number=self._number or 0, is_json=is_json, tool=self._name)

    def take(self, call: dict[str, Any]) -> str:
        """Reads a piece of the call: more of its text."""
        if self._number is None:
            inner = call
        else:
            if not self._name:
                self._member, self._text = message.holder(call)
            inner = choices.member(call, self._member)
            for name, value in message.about(call).items():
                if self._told.get(name) != value:
                    self._owed[name] = value
        if not self.is_open:
            self._name += choices.text(inner, "name")
        return choices.text(inner, self._text)

    def said(self, text: str) -> Delta:
        inner = {self._text: text} if self._begun else {"name": self._name, self._text: text}
        self._begun = True
        if self._number is None:
            return {message.FUNCTION_CALL: inner}
        owed, self._owed = self._owed, {}
        self._told.update(owed)
        return {message.CALLS: [{"index": self._number, **owed, self._member: inner}]}

    def unsaid(self) -> Delta | None:
        return None if self._begun else self.said("")


class _ChatChoice(EditedChoice):
    """A choice of a chat."""

    __slots__ = ("_call", "_calls", "_has_role", "_late", "_numbering", "_runs")

    def __init__(self, index: int, opening: Opening) -> None:
        super().__init__(index, opening)
        self._has_role = False
        self._runs: dict[str, int] = {}
        self._numbering: Final = Numbering()
        self._calls: dict[int | None, _CallPlace] = {}
        self._call: _CallPlace | None = None
        self._late: list[tuple[str, tuple[str, ...], str]] = []

    def piece(self, delta: Delta) -> dict[str, Any]:
        return {"delta": delta}

    def more(self, choice: dict[str, Any]) -> str:
        delta = choice.get("delta")
        if self.kind != "content" or not isinstance(delta, dict) or len(delta) != 1:
            return ""
        content = delta.get("content")
        return content if isinstance(content, str) else ""

    def read(self, choice: dict[str, Any]) -> Deltas:
        delta = choices.member(choice, "delta")
        rest = choices.without_texts(delta)
        if self._has_role:
            rest.pop("role", None)
        if any(rest.values()):
            if "role" in rest:
                self._has_role = True
            yield rest
        for kind, names in message.TEXTS.items():
            text = choices.text(delta, *names)
            if text:
                yield from self._take_text(kind, tuple(name for name in names if delta.get(name)), text)
        for call in choices.objects(delta, message.CALLS):
            index = choices.number(call) if call.get("index") is not None else None
            yield from self._take_call(self._numbering.of(index, choices.text(call, "id")), call)
        if called := choices.member(delta, message.FUNCTION_CALL):
            yield from self._take_call(None, called)

    def ending(self) -> Deltas:
        """Also of a call of which nothing but its name came, and of what was said while a call was told."""
        if self.is_blocked():
            return
        call, self._call = self._call, None
        if call is not None and not call.is_open:
            self.open(call, call.open(self.index))
        yield from super().ending()
        late, self._late = self._late, []
        for kind, names, text in late:
            yield from self._take_text(kind, names, text)
        if late:
            yield from super().ending()

    def _take_text(self, kind: str, names: tuple[str, ...], text: str) -> Deltas:
        if self.is_blocked():
            return
        if self._call is not None:
            self._late.append((kind, names, text))
            return
        if kind != self.kind:
            yield from self.ending()
            if self.is_blocked():
                return
            run = self._runs.get(kind, 0)
            self._runs[kind] = run + 1
            self.open(_TextPlace(names), Channel(self.index, kind, number=run))
            if run:
                text = "\n" + text
        yield from self.say(text)

    def _take_call(self, number: int | None, piece: dict[str, Any]) -> Deltas:
        if self.is_blocked():
            return
        call = self._calls.get(number)
        if call is None:
            yield from self.ending()
            call = self._calls[number] = self._call = _CallPlace(number)
        text = call.take(piece)
        if self.is_blocked() or not text:
            return
        if call is not self._call:
            raise UpstreamProtocol(IN_TURNS)
        if not call.is_open:
            self.open(call, call.open(self.index))
        yield from self.say(text)


class ChatEditor(ChoicesEditor):
    """See `edits.Editor`."""

    __slots__ = ()
    most = b'"content"'

    def __init__(self, call: Call, opening: Opening) -> None:
        super().__init__(opening, call.choices)

    def make(self, index: int, opening: Opening) -> EditedChoice:
        return _ChatChoice(index, opening)

"""A streamed answer to a completion, edited: the text of each choice."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.wire import choices
from gateway.wire.call import Call
from gateway.wire.choices_editor import ChoicesEditor, Delta, Deltas, EditedChoice
from gateway.wire.edits import Channel, Opening

_decode_prompts: Final = msgspec.json.Decoder(list[msgspec.Raw] | str | None).decode


class _TextPlace:
    __slots__ = ()

    def said(self, text: str) -> Delta:
        return {"text": text}

    def unsaid(self) -> None:
        return None


class _Completion(EditedChoice):
    """A choice of a completion: a text that ends with its choice."""

    __slots__ = ()

    def piece(self, delta: Delta) -> dict[str, Any]:
        return {"text": "", **delta}

    def more(self, choice: dict[str, Any]) -> str:
        text = choice.get("text")
        return text if self.kind and isinstance(text, str) else ""

    def read(self, choice: dict[str, Any]) -> Deltas:
        text = choices.text(choice, "text")
        if text and not self.kind:
            self.open(_TextPlace(), Channel(self.index, "content"))
        yield from self.say(text)


class CompletionsEditor(ChoicesEditor):
    """See `edits.Editor`."""

    __slots__ = ()
    most = b'"text"'

    def __init__(self, call: Call, opening: Opening) -> None:
        super().__init__(opening, call.choices * _prompts(call))

    def make(self, index: int, opening: Opening) -> EditedChoice:
        return _Completion(index, opening)


def _prompts(call: Call) -> int:
    """How many prompts a call has, each of which gets `n` choices: a list of numbers is one, told in tokens."""
    try:
        prompts = _decode_prompts(call.fields.get("prompt", b"null"))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 1
    if not isinstance(prompts, list) or not prompts:
        return 1
    return len(prompts) if bytes(prompts[0])[:1] in (b'"', b"[") else 1

"""The texts of a whole Anthropic message, and the message with others in their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.errors import UpstreamProtocol
from gateway.wire import json_values
from gateway.wire.edits import Outcome, Part
from gateway.wire.messages import texts
from gateway.wire.messages.texts import CALL, REFUSAL, Json, Read

NO_MESSAGE: Final = "the backend's answer is no message"


class MessageTexts:
    """One message; see `edits.Answer`. A tool call whose arguments are no JSON object any more is left out as one that
    was blocked is.
    """

    __slots__ = ("_blocks", "_message", "parts")

    def __init__(self, body: bytes) -> None:
        """Raises UpstreamProtocol for what is no message."""
        try:
            self._message: Final = _object(json_values.read(body))
            content = self._message.get("content")
            if not isinstance(content, list):
                raise ValueError
            self._blocks: Final = [(block, texts.read_as(block)) for block in map(_object, content)]
            self.parts: Sequence[Part] = [
                _part(index, block, read) for index, (block, read) in enumerate(self._blocks) if read is not None
            ]
        except ValueError:
            raise UpstreamProtocol(NO_MESSAGE) from None

    def said(self, outcomes: Sequence[Outcome]) -> bytes:
        """The message, whose `stop_reason` is "refusal" when it was cut off."""
        content: list[Json] = []
        message = {**self._message, "content": content}
        left = iter(outcomes)
        for block, read in self._blocks:
            if read is None:
                content.append(texts.empty(block, None))
                continue
            outcome = next(left)
            said = texts.filled(block | {"signature": ""} if outcome.blocked else block, read, outcome.text)
            if outcome.blocked or said is None:
                if said is not None and outcome.text and not read.is_json:
                    content.append(said)
                message |= {"stop_reason": REFUSAL, "stop_sequence": None}
                break
            content.append(said)
        return json_values.written(message)


def _part(index: int, block: Json, read: Read) -> Part:
    place = f"content[{index}]" + (f".{read.member}" if read.member else "")
    tool = texts.tool_of(block) if read is CALL else ""
    return Part(place, read.phase, texts.text_of(block, read), is_json=read.is_json, tool=tool)


def _object(value: object) -> Json:
    if not isinstance(value, dict):
        raise ValueError
    return value

"""The texts of a whole Response, and the Response with others in their place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.errors import UpstreamProtocol
from gateway.wire import json_values
from gateway.wire.edits import Outcome, Part
from gateway.wire.responses import texts
from gateway.wire.responses.texts import CALLS, FILTERED, LISTS, Json, Read

NO_RESPONSE: Final = "the backend's answer is no response"

_Place = tuple[Read, str, str]
"""How a text is read, where it stands, and it."""


class ResponseTexts:
    """One Response; see `edits.Answer`. An item of another type that is no JSON object any more is left out as one that
    was blocked is.
    """

    __slots__ = ("_items", "_response", "parts")

    def __init__(self, body: bytes) -> None:
        """Raises UpstreamProtocol for what is no Response."""
        try:
            self._response: Final = _object(json_values.read(body))
            output = self._response.get("output")
            if not isinstance(output, list):
                raise ValueError
            self._items: Final = [
                (item, _texts(item, f"output[{index}]")) for index, item in enumerate(map(_object, output))
            ]
        except ValueError:
            raise UpstreamProtocol(NO_RESPONSE) from None
        self.parts: Sequence[Part] = [
            Part(place, read.phase, text, is_json=read.is_json, tool=texts.tool_of(item))
            for item, found in self._items
            for read, place, text in found
        ]

    def said(self, outcomes: Sequence[Outcome]) -> bytes:
        """The Response, which is incomplete by a content filter when it was cut off."""
        output: list[Json] = []
        response = {**texts.without_texts(self._response), "output": output}
        left = iter(outcomes)
        for item, found in self._items:
            said, blocked = _said(item, found, left)
            if said is not None:
                output.append(said)
            if blocked:
                response |= FILTERED
                break
        if "output_text" in self._response:
            response["output_text"] = texts.joined(output)
        return json_values.written(response)


def _texts(item: Json, place: str) -> list[_Place]:
    kind = str(item.get("type"))
    if kind in LISTS:
        return [
            (read, f"{place}.{name}[{index}].{read.member}", text)
            for name in LISTS[kind]
            for index, read, text in texts.listed(item, name)
        ]
    if kind in CALLS:
        read = CALLS[kind]
        return [(read, f"{place}.{read.member}", texts.string(item, read.member))]
    return [(texts.of_document(item), place, texts.document(item))]


def _said(item: Json, found: list[_Place], outcomes: Iterator[Outcome]) -> tuple[Json | None, bool]:
    """What is told of an item, None for nothing, and whether it was blocked."""
    kind = str(item.get("type"))
    if kind in LISTS:
        return _said_in_parts(item, LISTS[kind], found, outcomes)
    outcome = next(outcomes)
    if outcome.blocked:
        return None, True
    if kind in CALLS:
        return {**texts.kept(item), CALLS[kind].member: outcome.text}, False
    said = texts.from_document(item, outcome.text)
    return said, said is None


def _said_in_parts(
    item: Json, lists: Sequence[str], found: list[_Place], outcomes: Iterator[Outcome]
) -> tuple[Json | None, bool]:
    said: Json = {**texts.kept(item), **{name: [] for name in lists}}
    for read, _, _ in found:
        outcome = next(outcomes)
        if outcome.text or not outcome.blocked:
            said[read.parts].append(texts.part(read, outcome.text))
        if outcome.blocked:
            return ({**said, "status": "incomplete"} if any(said[name] for name in lists) else None), True
    return said, False


def _object(value: object) -> Json:
    if not isinstance(value, dict):
        raise ValueError
    return value

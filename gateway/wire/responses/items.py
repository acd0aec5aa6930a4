"""The input of a Responses request as the messages of a chat.

Texts, images and files are copied as the bytes they came in. What chat cannot hold is a 400 that names the item.
Reasoning items are left out: what a model thought in an earlier turn is not part of a chat.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body

_NULL: Final = msgspec.Raw(b"null")
_TEXTS: Final = frozenset(("input_text", "output_text", "text"))
_ROLES: Final = {"user": "user", "assistant": "assistant", "system": "system", "developer": "system"}
"""Chat has the role developer too, but few models' templates know it; both are instructions."""

Content = msgspec.Raw | list[dict[str, object]]


class Message(msgspec.Struct, omit_defaults=True):
    """A chat message; `content` is JSON, or a list of parts."""

    role: str
    content: Content | None
    tool_calls: list[dict[str, object]] | msgspec.UnsetType = msgspec.UNSET
    tool_call_id: str | msgspec.UnsetType = msgspec.UNSET


class _Item(msgspec.Struct):
    type: str | None = None
    role: str | None = None
    content: msgspec.Raw = _NULL
    call_id: str | None = None
    name: str | None = None
    arguments: msgspec.Raw = _NULL
    output: msgspec.Raw = _NULL


class _Part(msgspec.Struct):
    type: str | None = None
    text: msgspec.Raw = _NULL
    refusal: msgspec.Raw = _NULL
    image_url: msgspec.Raw = _NULL
    detail: msgspec.Raw = _NULL
    file_data: msgspec.Raw = _NULL
    filename: msgspec.Raw = _NULL
    input_audio: msgspec.Raw = _NULL


_PartReader = Callable[[_Part, str], dict[str, object]]

_decode_items: Final = msgspec.json.Decoder(list[_Item]).decode
_decode_parts: Final = msgspec.json.Decoder(list[_Part]).decode


def messages(instructions: msgspec.Raw, said: msgspec.Raw) -> list[Message]:
    """The messages that say the same as these instructions (a string, or null) and this input (a string, or items).
    Raises InvalidRequest.
    """
    found: list[Message] = []
    if instructions != _NULL:
        found.append(Message("system", _string(instructions, "instructions")))
    if is_string(said):
        found.append(Message("user", said))
        return found
    for index, item in enumerate(wire_body.typed(_decode_items, said, "input")):
        _add(found, item, f"input[{index}]")
    if not found:
        raise InvalidRequest("input has nothing to answer", param="input")
    return found


def is_string(value: msgspec.Raw) -> bool:
    """Whether this JSON is a string."""
    return bytes(memoryview(value)[:1]) == b'"'


def _add(found: list[Message], item: _Item, place: str) -> None:
    kind = item.type or ("message" if item.role else "")
    if kind == "message":
        found.append(_message(item, place))
    elif kind == "function_call":
        call: dict[str, object] = {
            "id": _named(item.call_id, f"{place}.call_id"),
            "type": "function",
            "function": {
                "name": _named(item.name, f"{place}.name"),
                "arguments": _string(item.arguments, f"{place}.arguments"),
            },
        }
        if not found or found[-1].role != "assistant":
            found.append(Message("assistant", None))
        before = found[-1].tool_calls
        found[-1].tool_calls = [call] if isinstance(before, msgspec.UnsetType) else [*before, call]
    elif kind == "function_call_output":
        answered = _named(item.call_id, f"{place}.call_id")
        found.append(Message("tool", _output(item.output, f"{place}.output"), tool_call_id=answered))
    elif kind == "item_reference":
        raise InvalidRequest(f"{place}: this gateway keeps no items to refer to; send the item itself", param=place)
    elif kind != "reasoning":
        raise InvalidRequest(
            f"{place}: this model takes messages, function calls and their outputs, not items of type "
            f"{wire_body.shown(kind) or 'null'}",
            param=place,
        )


def _message(item: _Item, place: str) -> Message:
    role = _ROLES.get(item.role or "")
    if role is None:
        raise InvalidRequest(f"{place}.role must be one of {', '.join(_ROLES)}", param=f"{place}.role")
    return Message(role, _content(item.content, f"{place}.content", _part))


def _output(value: msgspec.Raw, place: str) -> Content:
    return _content(value, place, _text_part)


def _content(value: msgspec.Raw, place: str, part: _PartReader) -> Content:
    """A string as it is, and so a single text, since models' templates know strings best; else the parts."""
    if is_string(value):
        return value
    parts = wire_body.typed(_decode_parts, value, place)
    if len(parts) == 1 and parts[0].type in _TEXTS:
        return _string(parts[0].text, f"{place}[0].text")
    return [part(each, f"{place}[{index}]") for index, each in enumerate(parts)]


def _text_part(part: _Part, place: str) -> dict[str, object]:
    if part.type not in _TEXTS:
        raise InvalidRequest(f"{place}: the output of a function can only be text for this model", param=place)
    return {"type": "text", "text": _string(part.text, f"{place}.text")}


def _part(part: _Part, place: str) -> dict[str, object]:
    if part.type in _TEXTS:
        return {"type": "text", "text": _string(part.text, f"{place}.text")}
    if part.type == "input_image":
        image = {"url": _sent(part.image_url, place, "image_url")}
        return {"type": "image_url", "image_url": image | _said(part.detail, place, "detail")}
    if part.type == "input_file":
        file = {"file_data": _sent(part.file_data, place, "file_data")}
        return {"type": "file", "file": file | _said(part.filename, place, "filename")}
    if part.type == "input_audio":
        return {"type": "input_audio", "input_audio": part.input_audio}
    if part.type == "refusal":
        return {"type": "refusal", "refusal": _string(part.refusal, f"{place}.refusal")}
    kind = wire_body.shown(part.type or "null")
    raise InvalidRequest(f"{place}: this model takes no content of type {kind}", param=place)


def _sent(value: msgspec.Raw, place: str, name: str) -> msgspec.Raw:
    if value == _NULL:
        raise InvalidRequest(f"{place}: this gateway keeps no files, and fetches none; send {name}", param=place)
    return _string(value, f"{place}.{name}")


def _said(value: msgspec.Raw, place: str, name: str) -> dict[str, msgspec.Raw]:
    return {} if value == _NULL else {name: _string(value, f"{place}.{name}")}


def _string(value: msgspec.Raw, place: str) -> msgspec.Raw:
    if not is_string(value):
        raise InvalidRequest(f"{place} must be a string", param=place)
    return value


def _named(value: str | None, place: str) -> str:
    if not value:
        raise InvalidRequest(f"{place} is required and must be a non-empty string", param=place)
    return value

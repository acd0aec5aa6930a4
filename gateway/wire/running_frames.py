"""What a running relay reads of a frame besides its usage."""

from __future__ import annotations

from typing import Any, Final

import msgspec


class Choice(msgspec.Struct, gc=False):
    """A part of one answer."""

    index: int = 0
    delta: dict[str, Any] | None = None
    text: str | None = None


class Frame(msgspec.Struct, gc=False):
    """A chunk of a chat, or of a completion."""

    id: str | None = None
    object: str | None = None
    created: int | None = None
    model: str | None = None
    choices: list[Choice] | None = None


_decode: Final = msgspec.json.Decoder(Frame).decode
_encode: Final = msgspec.json.Encoder().encode


def read(payload: bytes) -> Frame:
    """A frame's data; an empty frame for what is none."""
    try:
        return _decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Frame()


def said_bytes(choice: Choice) -> int:
    """The bytes a choice says in a frame: no more tokens than that."""
    spoken = len((choice.text or "").encode("utf-8", "replace"))
    for name, value in (choice.delta or {}).items():
        if name != "role" and value:
            spoken += len(value.encode("utf-8", "replace") if isinstance(value, str) else _encode(value))
    return spoken

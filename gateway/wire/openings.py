"""How a conversation opens: what each of its turns sends again, byte for byte, found in a list of messages."""

from __future__ import annotations

import re
from typing import Final

import msgspec

MAX_OPENING_BYTES: Final = 8_192
"""Two conversations that agree on this much are worth one replica's cache anyway."""

DECODED_BELOW_BYTES: Final = 16_384
"""Below this, decoding all is faster than looking for the first message's end."""

_PIECE: Final = re.compile(rb'["\[\]{}]')
_OPENS: Final = b"[{"
_BRACKET: Final = ord("[")
_QUOTE: Final = ord('"')
_BACKSLASH: Final = ord("\\")


class _Role(msgspec.Struct):
    role: str | None = None


_decode_role: Final = msgspec.json.Decoder(_Role).decode
_decode_array: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def until_user(said: msgspec.Raw) -> bytes:
    """The start of an array of objects, up to and including the first whose role is user.

    At most MAX_OPENING_BYTES. A short array is decoded, a long one searched, which gives the same.
    """
    if len(said) <= DECODED_BELOW_BYTES:
        try:
            at = 1
            for message in _decode_array(said):
                if _decode_role(message).role == "user":
                    whole = bytes(said)
                    if not whole.startswith(message, at):  # there is space between the messages
                        at = whole.find(message)
                    return whole[: min(at + len(message), MAX_OPENING_BYTES)]
                at += len(message) + 1
        except (msgspec.DecodeError, UnicodeDecodeError):
            pass  # not all of them are messages: that is for the backend to say
    head = bytes(memoryview(said)[:MAX_OPENING_BYTES])
    depth = start = at = 0
    while found := _PIECE.search(head, at):
        at = found.end()
        piece = head[at - 1]
        if piece == _QUOTE:
            at = _after_string(head, at)
        elif piece in _OPENS:
            depth += 1
            if depth == 2:
                start = at - 1
        else:
            depth -= 1
            if depth == 1 and _is_user(head[start:at]):
                return head[:at]
    return head


def _after_string(head: bytes, at: int) -> int:
    """Where a JSON string ends whose text begins at `at`; looking for quotes only, since texts are long."""
    while (quote := head.find(b'"', at)) >= 0:
        at = quote + 1
        before = quote - 1
        while head[before] == _BACKSLASH:  # stops at the quote the string began with, at the latest
            before -= 1
        if (quote - before) % 2:  # an even number of backslashes: they escape each other, not the quote
            return at
    return len(head)


def _is_user(message: bytes) -> bool:
    try:
        return _decode_role(message).role == "user"
    except (msgspec.DecodeError, UnicodeDecodeError):  # not a message at all: for the backend to say
        return False

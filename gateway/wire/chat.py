"""POST /v1/chat/completions: what the gateway itself requires of a body; the rest is the backend's to judge."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire.call import Call, Codec, read

MAX_OPENING_BYTES: Final = 16_384
"""Two conversations that agree on this much are worth one replica's cache anyway."""

_PIECE: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)
_OPENS: Final = b"[{"


class _Role(msgspec.Struct):
    role: str | None = None


_decode_role: Final = msgspec.json.Decoder(_Role).decode


def parse(body: bytes) -> Call:
    """Raises InvalidRequest."""
    fields = wire_body.fields(body)
    call = read("chat", body, fields, streams=True)
    messages = memoryview(wire_body.present(fields, "messages"))
    if messages[0] != ord("["):
        raise InvalidRequest("messages must be an array", param="messages")
    if len(messages) < 64 and not bytes(messages[1:-1]).strip():
        raise InvalidRequest("messages must not be empty", param="messages")
    return call


def opening(call: Call) -> bytes:
    """The messages up to and including the first of the role user: each turn of a conversation sends them again, byte
    for byte.

    At most MAX_OPENING_BYTES, which is also how far the search goes.
    """
    head = bytes(memoryview(call.fields["messages"])[:MAX_OPENING_BYTES])
    depth = start = 0
    for piece in _PIECE.finditer(head):
        first = head[piece.start()]
        if first == ord('"'):
            continue
        if first in _OPENS:
            depth += 1
            if depth == 2:
                start = piece.start()
        else:
            depth -= 1
            if depth == 1 and _is_user(head[start : piece.end()]):
                return head[: piece.end()]
    return head


def _is_user(message: bytes) -> bool:
    try:
        return _decode_role(message).role == "user"
    except (msgspec.DecodeError, UnicodeDecodeError):  # not a message at all: for the backend to say
        return False


CODEC: Final = Codec("chat", b"/v1/chat/completions", parse, opening)

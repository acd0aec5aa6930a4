"""POST /v1/chat/completions: what the gateway itself requires of a body; the rest is the backend's to judge."""

from __future__ import annotations

from typing import Final

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire import openings, relay, usage
from gateway.wire.body import Fields
from gateway.wire.call import JSON, Call, Codec, Form, outgoing_with_usage, read

_BRACKET: Final = ord("[")


def parse(body: bytes, content_type: bytes = JSON) -> Call:
    """Raises InvalidRequest."""
    fields = wire_body.fields(body)
    call = read("chat", body, fields, streams=True)
    require_messages(fields)
    return call


def require_messages(fields: Fields) -> None:
    """Raises InvalidRequest where `messages` is not a non-empty array; what is in it is the backend's to judge."""
    messages = memoryview(wire_body.present(fields, "messages"))
    if messages[0] != _BRACKET:
        raise InvalidRequest("messages must be an array", param="messages")
    if len(messages) < 64 and not bytes(messages[1:-1]).strip():
        raise InvalidRequest("messages must not be empty", param="messages")


def opening(call: Call) -> bytes:
    """The messages up to and including the first of the role user: each turn of a conversation sends them again, byte
    for byte.
    """
    return openings.until_user(call.fields["messages"])


CODEC: Final = Codec(
    "chat",
    parse,
    opening,
    Form(b"/v1/chat/completions", outgoing_with_usage, usage.from_answer, relay.of),
)

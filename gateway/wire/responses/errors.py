"""Errors of the Responses API: a whole answer's has OpenAI's usual shape, a stream's is an event of its own."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import GatewayError
from gateway.wire.errors import OPENAI, Shape, message

_encode: Final = msgspec.json.Encoder().encode


def event(error: GatewayError, request_id: str | None, sequence_number: int | None = None) -> bytes:
    """The event that ends a stream. It says the same twice: OpenAI documents the flat fields, and its SDKs raise only
    on a member `error`, without which an application that does not look for the event takes half an answer for a
    whole one.
    """
    told = {"code": error.code, "message": message(error, request_id), "param": error.param}
    whole: dict[str, object] = {"type": "error", **told, "error": {"type": error.type, **told}}
    if sequence_number is not None:
        whole["sequence_number"] = sequence_number
    return b"event: error\ndata: " + _encode(whole) + b"\n\n"


RESPONSES: Final = Shape(OPENAI.body, event)

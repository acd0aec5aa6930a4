"""An error as bytes: the only place that turns one into an answer, in the shape of the endpoint's format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.errors import GatewayError, Internal, UpstreamRejected

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Shape:
    """How one format tells an error: as a body, and as a frame inside a stream whose first byte is gone (the official
    SDKs raise on it; the stream ends after it). Both take the error and the request's id, if it is to be told.

    `id_header` is where the format's SDKs look for that id, if not in `x-request-id`, which every answer has.
    """

    body: Callable[[GatewayError, str | None], bytes]
    frame: Callable[[GatewayError, str | None], bytes]
    id_header: bytes = b""
    content_type: bytes = b"application/json"


def render(error: GatewayError, request_id: str, shape: Shape) -> tuple[int, bytes, bytes]:
    """Status, header lines (lower-case names, x-request-id among them, without content-length) and body.

    A refusal that a retry cannot cure carries `x-should-retry: false`: the official SDKs otherwise retry 408, 409, 429
    and every 5xx by themselves. What a backend said of the caller's request is passed on as it was sent. Our own bugs
    show nothing but the request's id.
    """
    if isinstance(error, UpstreamRejected):
        status, content_type, body = error.sent_status, error.content_type, error.body
    else:
        status, content_type, body = error.status, shape.content_type, shape.body(error, request_id)
    sent_id = request_id.encode("latin-1", "replace")
    lines = [b"content-type: " + content_type, b"x-request-id: " + sent_id]
    if shape.id_header:
        lines.append(b"%b: %b" % (shape.id_header, sent_id))
    if not error.retryable:
        lines.append(b"x-should-retry: false")
    lines += (f"{name}: {value}".encode("latin-1", "replace") for name, value in error.headers)
    return status, b"\r\n".join(lines) + b"\r\n", body


def message(error: GatewayError, request_id: str | None) -> str:
    """What callers are told; of our own bugs nothing but where the operator finds the cause."""
    if isinstance(error, Internal):
        return "the gateway failed" + (f"; its log has the cause under {request_id}" if request_id else "")
    return error.message


def _openai_body(error: GatewayError, request_id: str | None) -> bytes:
    told = {
        "message": message(error, request_id),
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }
    return _encode({"error": told})


def _openai_frame(error: GatewayError, request_id: str | None) -> bytes:
    return b"data: " + _openai_body(error, request_id) + b"\n\n"


OPENAI: Final = Shape(_openai_body, _openai_frame)
"""Chat, completions, embeddings; a stream ends without `[DONE]`."""

"""An error as bytes, in OpenAI's shape: the only place that turns one into an answer."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import GatewayError, Internal, UpstreamRejected

_encode: Final = msgspec.json.Encoder().encode


def render(error: GatewayError, request_id: str) -> tuple[int, bytes, bytes]:
    """Status, header lines (lower-case names, x-request-id among them, without content-length) and body.

    A refusal that a retry cannot cure carries `x-should-retry: false`: the official SDKs otherwise retry 408, 409, 429
    and every 5xx by themselves. What a backend said of the caller's request is passed on as it was sent. Our own bugs
    show nothing but the request's id.
    """
    if isinstance(error, UpstreamRejected):
        status, content_type, body = error.sent_status, error.content_type, error.body
    else:
        status, content_type, body = error.status, b"application/json", _encode({"error": _told(error, request_id)})
    lines = [b"content-type: " + content_type, b"x-request-id: " + request_id.encode("latin-1", "replace")]
    if not error.retryable:
        lines.append(b"x-should-retry: false")
    lines += (f"{name}: {value}".encode("latin-1", "replace") for name, value in error.headers)
    return status, b"\r\n".join(lines) + b"\r\n", body


def frame(error: GatewayError, request_id: str | None = None) -> bytes:
    """The error inside a stream whose first byte is gone: a frame on which the official SDKs raise. The stream ends
    after it, without `[DONE]`.
    """
    return b"data: " + _encode({"error": _told(error, request_id)}) + b"\n\n"


def _told(error: GatewayError, request_id: str | None) -> dict[str, str | None]:
    message = error.message
    if isinstance(error, Internal):
        message = (
            "the gateway failed"
            if request_id is None
            else f"the gateway failed; its log has the cause under {request_id}"
        )
    return {"message": message, "type": error.type, "param": error.param, "code": error.code}

"""Errors in Anthropic's shape: ours as bodies and stream events, and a backend's own refusal whatever its shape was.

The word in `type` follows the status, as Anthropic documents it; our own code stands in `details.error_code`, where the
official SDK looks for it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.errors import GatewayError
from gateway.wire.errors import Shape, message

TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Statuses with a word of their own; any other 4xx is an invalid request, any other 5xx an `api_error`."""

_encode: Final = msgspec.json.Encoder().encode


def type_of(status: int) -> str:
    """Anthropic's word for an error of this status."""
    return TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")


def _body(error: GatewayError, request_id: str | None) -> bytes:
    details = {"error_code": error.code}
    if error.param is not None:
        details["param"] = error.param
    told: dict[str, Any] = {"type": type_of(error.status), "message": message(error, request_id), "details": details}
    return _encode({"type": "error", "error": told, "request_id": request_id})


def _frame(error: GatewayError, request_id: str | None) -> bytes:
    return b"event: error\ndata: " + _body(error, request_id) + b"\n\n"


ANTHROPIC: Final = Shape(_body, _frame, b"request-id")
"""Messages; a stream ends without `message_stop`."""


class _Said(msgspec.Struct):
    message: str | None = None


class _Refusal(msgspec.Struct):
    type: str | None = None
    error: _Said | None = None


_decode: Final = msgspec.json.Decoder(_Refusal).decode


def refusal(status: int, body: bytes) -> bytes:
    """A backend's refusal in Anthropic's shape; unchanged where it has it already. Its words are kept, whichever of the
    known shapes they came in.
    """
    try:
        found = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = _Refusal()
    if found.type == "error" and found.error is not None:
        return body
    return told(status, found.error.message if found.error else None)


def told(status: int, words: str | None) -> bytes:
    """What a backend said against a request, as a body."""
    words = words or f"the backend refused the request with status {status}"
    error = {"type": type_of(status), "message": words, "details": {"error_code": "upstream_rejected"}}
    return _encode({"type": "error", "error": error})

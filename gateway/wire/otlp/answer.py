"""What a sender of spans is answered, in the form it asked in: an `ExportTraceServiceResponse`, or for a refusal a
`google.rpc.Status`. Both are two fields, so protobuf is written here by hand."""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.errors import GatewayError, InvalidRequest
from gateway.wire import errors as wire_errors
from gateway.wire.errors import Shape
from gateway.wire.otlp.request import TYPES, Form, form_of
from gateway.wire.otlp.sent import Counts

_REASON: Final = "their ids are not those of W3C trace context, or their times are none"
_CODES: Final = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 413: 3, 429: 8, 503: 14}
"""gRPC's codes, by HTTP's."""
_UNKNOWN: Final = 2
_encode: Final = msgspec.json.Encoder().encode


def taken(counts: Counts, form: Form) -> bytes:
    """The body of a 200: empty, or how many spans were not taken and why."""
    if form == "json":
        partial = {"rejectedSpans": str(counts.rejected), "errorMessage": _REASON}
        return _encode({"partialSuccess": partial} if counts.rejected else {})
    if not counts.rejected:
        return b""
    return _field(1, b"\x08" + _varint(counts.rejected) + _field(2, _REASON.encode()))


def shape(content_type: bytes) -> Shape:
    """How an error is told to who sent a body of this type."""
    try:
        return _SHAPES[form_of(content_type)]
    except InvalidRequest:
        return _SHAPES["json"]


def _json(error: GatewayError, request_id: str | None) -> bytes:
    return _encode({"code": _CODES.get(error.status, _UNKNOWN), "message": wire_errors.message(error, request_id)})


def _protobuf(error: GatewayError, request_id: str | None) -> bytes:
    code = _varint(_CODES.get(error.status, _UNKNOWN))
    return b"\x08" + code + _field(2, wire_errors.message(error, request_id).encode("utf-8", "replace"))


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes (protobuf's wire type 2)."""
    return bytes((number << 3 | 2,)) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


_SHAPES: Final[dict[Form, Shape]] = {
    "json": Shape(_json, _json),
    "protobuf": Shape(_protobuf, _protobuf, content_type=TYPES["protobuf"]),
}

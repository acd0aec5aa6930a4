"""POST /v1/audio/transcriptions: a form with a sound file. Only the parts `model` and `stream` are read.

The form goes to the backend byte for byte; where the backend knows the model by another name, the part `model` is
replaced and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire import embeddings, multipart, relay
from gateway.wire.body import Fields
from gateway.wire.call import JSON, MAX_MODEL_CHARS, Call, Codec, Form
from gateway.wire.multipart import Part
from gateway.wire.responses import usage as responses_usage

_UNREAD: Final = msgspec.Raw(b"null")
_READ: Final = frozenset(("model", "stream"))
_MAX_READ_BYTES: Final = 1_024
_TRUE: Final = frozenset(("true", "1", "on", "t", "y", "yes"))
_FALSE: Final = frozenset(("false", "0", "off", "f", "n", "no", ""))
"""How forms write a flag, in any case."""

_encode: Final = msgspec.json.Encoder().encode


def parse(body: bytes, content_type: bytes = JSON) -> Call:
    """Raises InvalidRequest. `fields` names all parts; only those that are read have a value there."""
    fields: Fields = {}
    stream = False
    for part in multipart.parts(body, multipart.boundary(content_type)):
        if part.name not in _READ:
            fields[part.name] = _UNREAD
            continue
        if part.name in fields:
            raise InvalidRequest(f"the form has two parts named {part.name}", param=part.name)
        text = _text(body, part)
        fields[part.name] = msgspec.Raw(_encode(text))
        if part.name == "stream":
            stream = _flag(text)
    if "model" not in fields:
        raise InvalidRequest("the form has no part named model", param="model")
    if "file" not in fields:
        raise InvalidRequest("the form has no part named file", param="file")
    model = wire_body.required_text(fields, "model", MAX_MODEL_CHARS)
    return Call("transcriptions", model, stream, True, fields, body, None, None, 1, content_type)


def outgoing(call: Call, served_model: str, served_model_json: bytes, extra: Mapping[str, bytes]) -> bytes:
    """The form for a backend: the very bytes that came in, or those with another part `model`. `extra` is for bodies
    that are JSON.
    """
    if served_model == call.alias:
        return call.body
    edge = multipart.boundary(call.content_type)
    model = next(part for part in multipart.parts(call.body, edge) if part.name == "model")
    value = served_model.encode()
    if b"--" + edge in value:
        raise InvalidRequest("the boundary of the form stands in the model's name; use another boundary")
    view = memoryview(call.body)
    head = b'content-disposition: form-data; name="model"\r\n\r\n'  # a length that was stated there would be wrong
    return b"".join((view[: model.head], head, value, view[model.end :]))


def _text(body: bytes, part: Part) -> str:
    if part.is_file:
        raise InvalidRequest(f"{part.name} must be a text, not a file", param=part.name)
    if part.end - part.start > _MAX_READ_BYTES:
        raise InvalidRequest(f"{part.name} must have at most {_MAX_READ_BYTES} bytes", param=part.name)
    try:
        return body[part.start : part.end].decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{part.name} must be UTF-8", param=part.name) from None


def _flag(text: str) -> bool:
    word = text.lower()
    if word not in _TRUE and word not in _FALSE:
        raise InvalidRequest("stream must be true or false", param="stream")
    return word in _TRUE


CODEC: Final = Codec(
    "transcriptions",
    parse,
    embeddings.opening,
    Form(b"/v1/audio/transcriptions", outgoing, responses_usage.from_answer, relay.of),
)

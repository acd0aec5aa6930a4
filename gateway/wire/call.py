"""A parsed request (`Call`), how an endpoint reads one (`Codec`), how a backend is asked and understood (`Form`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire import errors as wire_errors
from gateway.wire.body import Fields
from gateway.wire.usage import Usage

JSON: Final = b"application/json"
MAX_MODEL_CHARS: Final = 256
MAX_ID_CHARS: Final = 512
"""Bound of the ids a caller gives (`user`, a conversation): they go into the record."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """What the gateway knows of a request; everything else of it stays in `fields`, as bytes."""

    endpoint: str
    """The codec's name, such as "chat"."""
    alias: str
    """The model asked for, as the caller names it."""
    stream: bool
    asks_usage: bool
    """A stream whose caller asked for the usage frame (`stream_options.include_usage`)."""
    fields: Fields
    body: bytes
    """The request as it came."""
    end_user: str | None
    """OpenAI's `user`: a subject under the key, never a right."""
    conversation: str | None
    """The id of OpenAI's `conversation`, else `previous_response_id`."""
    choices: int
    """`n`: how many answers were asked for."""
    content_type: bytes = JSON
    """Of `body`, as the caller sent it and the backend gets it."""
    header_lines: bytes = b""
    """Whole header lines the backend gets because the body's format asks for them."""
    continues: str | None = None
    """The answer that this one goes on from, which a backend must have kept."""


class Passing(Protocol):
    """A streamed answer on its way: `feed` it any cut of the backend's bytes, then `finish` once. What comes out does
    not depend on the cut.
    """

    usage: Usage | None
    """The last usage seen."""
    failed: bool
    """The backend told an error in band."""
    mid_frame: bool
    """The caller has seen a part of a frame only."""

    @property
    def complete(self) -> bool:
        """The format's last frame came: whatever happens to the connection now, the answer is whole."""
        ...

    def feed(self, data: bytes) -> bytes:
        """What the caller may have by now; b"" when nothing. The last frame is held until `finish`."""
        ...

    def finish(self) -> bytes:
        """The backend ended: what is left to send."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """One way to ask a backend, and to read its answer."""

    path: bytes
    outgoing: Callable[[Call, str, bytes, Mapping[str, bytes]], bytes]
    """(call, served model, the same as JSON, extra fields) → the body to send. Raises InvalidRequest for what cannot
    be said in this form.
    """
    usage: Callable[[bytes], Usage | None]
    """The usage of a whole answer, as the backend sent it."""
    relay: Callable[[Call], Passing]
    """The reader of one streamed answer."""
    answer: Callable[[bytes, Call], bytes] | None = None
    """A whole answer in the caller's format; None: it is. Raises UpstreamProtocol for an answer that cannot be read."""
    refusal: Callable[[int, bytes], bytes] | None = None
    """(status, body) of a backend's refusal → the body in the caller's format; None: it is."""
    path_for: Callable[[str], bytes] | None = None
    """The served model → the path, where that holds the model's name; None: it is `path`."""
    method: bytes = b"POST"
    missing: str = "this model does not serve this endpoint: chat takes a chat model, embeddings another kind"
    """What a caller is told when the backend has no such endpoint, or does not know the model."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One endpoint: how its body is read, how its conversation begins, and in which forms a backend can be asked."""

    endpoint: str
    parse: Callable[[bytes, bytes], Call]
    """(body, content type) → Call; raises InvalidRequest."""
    opening: Callable[[Call], bytes]
    """The bytes every request of one conversation begins with (bounded), for choosing a replica whose cache knows them;
    b"" when there are none.
    """
    native: Form
    """For backends that speak this endpoint."""
    translated: Form | None = None
    """For those that do not; None: they cannot serve it."""
    errors: wire_errors.Shape = wire_errors.OPENAI


def read(endpoint: str, body: bytes, fields: Fields, *, streams: bool) -> Call:
    """The fields all endpoints share, checked; `streams` says whether the endpoint can stream at all."""
    stream = streams and wire_body.flag(fields, "stream")
    return Call(
        endpoint,
        wire_body.required_text(fields, "model", MAX_MODEL_CHARS),
        stream,
        stream
        and "stream_options" in fields
        and wire_body.flag(wire_body.members(fields, "stream_options"), "include_usage"),
        fields,
        body,
        wire_body.text(fields, "user", MAX_ID_CHARS) if "user" in fields else None,
        _conversation(fields) if "conversation" in fields or "previous_response_id" in fields else None,
        (wire_body.whole_number(fields, "n", 1) or 1) if "n" in fields else 1,
    )


def outgoing(call: Call, served_model: str, served_model_json: bytes, extra: Mapping[str, bytes]) -> bytes:
    """The body for a backend that speaks the caller's format: the very object that came in when nothing must change,
    else its fields joined again, `extra` (name → JSON) set as given.
    """
    if served_model != call.alias:
        return wire_body.join(call.fields, {"model": served_model_json, **extra})
    return wire_body.join(call.fields, extra) if extra else call.body


def outgoing_with_usage(call: Call, served_model: str, served_model_json: bytes, extra: Mapping[str, bytes]) -> bytes:
    """The same in OpenAI's chat format, where a stream states its usage only when asked: it is, the caller's other
    `stream_options` kept.
    """
    if call.stream and not call.asks_usage and "stream_options" not in extra:
        options = wire_body.join(wire_body.members(call.fields, "stream_options"), {"include_usage": b"true"})
        extra = {**extra, "stream_options": options}
    return outgoing(call, served_model, served_model_json, extra)


class _Conversation(msgspec.Struct):
    id: str


_decode_conversation: Final = msgspec.json.Decoder(str | _Conversation | None).decode
_decode_response_id: Final = msgspec.json.Decoder(str | None).decode


def _conversation(fields: Fields) -> str | None:
    """The caller's own id of the conversation; chat backends ignore these fields, so one of another shape is no error:
    it names nothing.
    """
    found: str | _Conversation | None = None
    try:
        if "conversation" in fields:
            found = _decode_conversation(fields["conversation"])
        if found is None and "previous_response_id" in fields:
            found = _decode_response_id(fields["previous_response_id"])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    name = found.id if isinstance(found, _Conversation) else found
    if name is not None and len(name) > MAX_ID_CHARS:
        raise InvalidRequest(f"a conversation's id must have at most {MAX_ID_CHARS} characters", param="conversation")
    return name or None

"""A parsed request (`Call`), how an endpoint reads one (`Codec`), how a backend is asked and understood (`Form`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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


class Call:
    """What the gateway knows of a request; everything else of it stays in `fields`, as bytes. Never changed: `changed`
    makes another one.
    """

    __slots__ = (
        *("alias", "asks_usage", "body", "choices", "content_type", "continues", "conversation"),
        *("end_user", "endpoint", "fields", "header_lines", "stream"),
    )

    def __init__(
        self,
        endpoint: str,
        alias: str,
        stream: bool,
        asks_usage: bool,
        fields: Fields,
        body: bytes,
        end_user: str | None,
        conversation: str | None,
        choices: int,
        content_type: bytes = JSON,
        header_lines: bytes = b"",
        continues: str | None = None,
    ) -> None:
        self.endpoint: Final = endpoint
        """The codec's name, such as "chat"."""
        self.alias: Final = alias
        """The model asked for, as the caller names it."""
        self.stream: Final = stream
        self.asks_usage: Final = asks_usage
        """A stream whose caller asked for the usage frame (`stream_options.include_usage`)."""
        self.fields: Final = fields
        self.body: Final = body
        """The request as it came."""
        self.end_user: Final = end_user
        """OpenAI's `user`: a subject under the key, never a right."""
        self.conversation: Final = conversation
        """The id of OpenAI's `conversation`, else `previous_response_id`."""
        self.choices: Final = choices
        """`n`: how many answers were asked for."""
        self.content_type: Final = content_type
        """Of `body`, as the caller sent it and the backend gets it."""
        self.header_lines: Final = header_lines
        """Whole header lines the backend gets because the body's format asks for them."""
        self.continues: Final = continues
        """The answer that this one goes on from, which a backend must have kept."""

    def changed(
        self,
        *,
        fields: Fields | None = None,
        body: bytes | None = None,
        end_user: str | None = None,
        continues: str | None = None,
    ) -> Call:
        """The same call with what is given in place of what it had."""
        return Call(
            self.endpoint,
            self.alias,
            self.stream,
            self.asks_usage,
            self.fields if fields is None else fields,
            self.body if body is None else body,
            self.end_user if end_user is None else end_user,
            self.conversation,
            self.choices,
            self.content_type,
            self.header_lines,
            self.continues if continues is None else continues,
        )


CHUNKS: Final = frozenset(("chat", "completions"))
"""Formats that a backend's chunks pass in as they are."""


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


class Form:
    """One way to ask a backend, and to read its answer."""

    __slots__ = (
        *("answer", "method", "missing", "outgoing", "path", "path_for"),
        *("refusal", "relay", "usage"),
    )

    def __init__(
        self,
        path: bytes,
        outgoing: Callable[[Call, str, bytes, Mapping[str, bytes]], bytes],
        usage: Callable[[bytes], Usage | None],
        relay: Callable[[Call], Passing],
        answer: Callable[[bytes, Call], bytes] | None = None,
        refusal: Callable[[int, bytes], bytes] | None = None,
        path_for: Callable[[str], bytes] | None = None,
        method: bytes = b"POST",
        missing: str = "this model does not serve this endpoint: chat takes a chat model, embeddings another kind",
    ) -> None:
        self.path: Final = path
        self.outgoing: Final = outgoing
        """(call, served model, the same as JSON, extra fields) → the body to send. Raises InvalidRequest for what
        cannot be said in this form.
        """
        self.usage: Final = usage
        """The usage of a whole answer, as the backend sent it."""
        self.relay: Final = relay
        """The reader of one streamed answer."""
        self.answer: Final = answer
        """A whole answer in the caller's format; None: it is. Raises UpstreamProtocol for an answer that cannot be
        read.
        """
        self.refusal: Final = refusal
        """(status, body) of a backend's refusal → the body in the caller's format; None: it is."""
        self.path_for: Final = path_for
        """The served model → the path, where that holds the model's name; None: it is `path`."""
        self.method: Final = method
        self.missing: Final = missing
        """What a caller is told when the backend has no such endpoint, or does not know the model."""


class Codec:
    """One endpoint: how its body is read, how its conversation begins, and in which forms a backend can be asked."""

    __slots__ = ("endpoint", "errors", "native", "opening", "parse", "translated")

    def __init__(
        self,
        endpoint: str,
        parse: Callable[[bytes, bytes], Call],
        opening: Callable[[Call], bytes],
        native: Form,
        translated: Form | None = None,
        errors: wire_errors.Shape = wire_errors.OPENAI,
    ) -> None:
        self.endpoint: Final = endpoint
        self.parse: Final = parse
        """(body, content type) → Call; raises InvalidRequest."""
        self.opening: Final = opening
        """The bytes every request of one conversation begins with (bounded), for choosing a replica whose cache knows
        them; b"" when there are none.
        """
        self.native: Final = native
        """For backends that speak this endpoint."""
        self.translated: Final = translated
        """For those that do not; None: they cannot serve it."""
        self.errors: Final = errors


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


_decode_conversation: Final = msgspec.json.Decoder(str | dict[str, msgspec.Raw] | None).decode
_decode_id: Final = msgspec.json.Decoder(str | None).decode


def _conversation(fields: Fields) -> str | None:
    """The caller's own id of the conversation; chat backends ignore these fields, so one of another shape is no error:
    it names nothing.
    """
    name: str | None = None
    try:
        if "conversation" in fields:
            found = _decode_conversation(fields["conversation"])
            name = _decode_id(found.get("id", b"null")) if isinstance(found, dict) else found
        if name is None and "previous_response_id" in fields:
            name = _decode_id(fields["previous_response_id"])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if name is not None and len(name) > MAX_ID_CHARS:
        raise InvalidRequest(f"a conversation's id must have at most {MAX_ID_CHARS} characters", param="conversation")
    return name or None

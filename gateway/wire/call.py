"""A parsed request (`Call`), what an endpoint adds to reading one (`Codec`), and the bytes that go to the backend
(`outgoing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire.body import Fields

MAX_MODEL_CHARS: Final = 256
MAX_ID_CHARS: Final = 512
"""Bound of the ids a caller gives (`user`, a conversation): they go into the record."""


class Call(msgspec.Struct, frozen=True, gc=False):
    """What the gateway knows of a request; everything else of it stays in `fields`, as bytes."""

    endpoint: str
    """"chat", "completions" or "embeddings"."""
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


@dataclass(frozen=True, slots=True)
class Codec:
    """One endpoint: where it lives upstream, how its body is read, and how its conversation begins."""

    endpoint: str
    path: bytes
    parse: Callable[[bytes], Call]
    """The body's bytes → Call; raises InvalidRequest."""
    opening: Callable[[Call], bytes]
    """The bytes every request of one conversation begins with (bounded), for choosing a replica whose cache knows them;
    b"" when there are none.
    """


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


def outgoing(
    call: Call, served_model: str, served_model_json: bytes, ask_usage: bool, extra: Mapping[str, bytes]
) -> bytes:
    """The body for a backend: the very object that came in when nothing must change, else its fields joined again.

    `ask_usage` makes a stream end with a usage frame, keeping the caller's other `stream_options`; `extra` (name →
    JSON) is set as given.
    """
    changes: dict[str, bytes] = {}
    if served_model != call.alias:
        changes["model"] = served_model_json
    if ask_usage and call.stream and not call.asks_usage:
        changes["stream_options"] = wire_body.join(
            wire_body.members(call.fields, "stream_options"), {"include_usage": b"true"}
        )
    if extra:
        changes.update(extra)
    return wire_body.join(call.fields, changes) if changes else call.body


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

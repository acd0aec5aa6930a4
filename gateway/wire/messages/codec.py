"""POST /v1/messages and /v1/messages/count_tokens, Anthropic's format: what the gateway itself requires of a body, and
both ways to ask a backend. One that speaks the format gets the bytes as they came; for one that does not they are
translated to chat completions, and its answers back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.wire import body as wire_body
from gateway.wire import chat, openings, usage
from gateway.wire.call import JSON, MAX_ID_CHARS, Call, Codec, Form, outgoing, read
from gateway.wire.messages import from_chat as chat_to_messages
from gateway.wire.messages import relay as messages_relay
from gateway.wire.messages import stream as messages_stream
from gateway.wire.messages import to_chat as messages_to_chat
from gateway.wire.messages import usage as messages_usage
from gateway.wire.messages.errors import ANTHROPIC, refusal
from gateway.wire.usage import Usage


def parse(body: bytes, content_type: bytes = JSON) -> Call:
    """Raises InvalidRequest. Whether `max_tokens` may be missing is the backend's to judge."""
    return _parse("messages", body, streams=True)


def parse_count(body: bytes, content_type: bytes = JSON) -> Call:
    """The same for a count, which is never a stream."""
    return _parse("messages_count", body, streams=False)


def _parse(endpoint: str, body: bytes, *, streams: bool) -> Call:
    fields = wire_body.fields(body)
    call = read(endpoint, body, fields, streams=streams)
    chat.require_messages(fields)
    if "metadata" in fields:
        user = wire_body.text(wire_body.members(fields, "metadata"), "user_id", MAX_ID_CHARS)
        call = call.changed(end_user=user)
    return call


def opening(call: Call) -> bytes:
    """The system prompt and the messages up to the first of the user, each bounded as chat's are."""
    system = call.fields.get("system")
    messages = chat.opening(call)
    return messages if system is None else bytes(memoryview(system)[: openings.MAX_OPENING_BYTES]) + messages


def _outgoing_count(call: Call, served_model: str, served_model_json: bytes, extra: Mapping[str, bytes]) -> bytes:
    """A count touches no cache, so it needs none of `extra`."""
    return outgoing(call, served_model, served_model_json, {})


def _no_usage(body: bytes) -> Usage | None:
    """A count uses nothing."""
    return None


CODEC: Final = Codec(
    "messages",
    parse,
    opening,
    Form(b"/v1/messages", outgoing, messages_usage.from_answer, messages_relay.of, refusal=refusal),
    Form(
        b"/v1/chat/completions",
        messages_to_chat.outgoing,
        usage.from_answer,
        messages_stream.of,
        chat_to_messages.answer,
        refusal,
    ),
    ANTHROPIC,
)

COUNT: Final = Codec(
    "messages_count",
    parse_count,
    opening,
    Form(b"/v1/messages/count_tokens", _outgoing_count, _no_usage, messages_relay.of, refusal=refusal),
    Form(
        b"/tokenize",
        messages_to_chat.outgoing_count,
        _no_usage,
        messages_relay.of,
        chat_to_messages.count,
        refusal,
    ),
    ANTHROPIC,
)

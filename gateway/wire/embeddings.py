"""POST /v1/embeddings: what the gateway itself requires of a body; the rest is the backend's to judge."""

from __future__ import annotations

from typing import Final

from gateway.wire import body as wire_body
from gateway.wire import relay, usage
from gateway.wire.call import JSON, Call, Codec, Form, outgoing, read


def parse(body: bytes, content_type: bytes = JSON) -> Call:
    """Raises InvalidRequest. An embedding is never a stream, whatever the body says."""
    fields = wire_body.fields(body)
    call = read("embeddings", body, fields, streams=False)
    wire_body.present(fields, "input")
    return call


def opening(call: Call) -> bytes:
    """Nothing: no replica keeps anything of an embedding."""
    return b""


CODEC: Final = Codec(
    "embeddings",
    parse,
    opening,
    Form(b"/v1/embeddings", outgoing, usage.from_answer, relay.of),
)

"""POST /v1/completions: what the gateway itself requires of a body; the rest is the backend's to judge."""

from __future__ import annotations

from typing import Final

from gateway.wire import body as wire_body
from gateway.wire import relay, usage
from gateway.wire.call import JSON, Call, Codec, Form, outgoing_with_usage, read

OPENING_BYTES: Final = 512
"""A completion has no turns: requests that begin alike (the same instructions, the same file) share this much."""


def parse(body: bytes, content_type: bytes = JSON) -> Call:
    """Raises InvalidRequest."""
    fields = wire_body.fields(body)
    call = read("completions", body, fields, streams=True)
    wire_body.present(fields, "prompt")
    return call


def opening(call: Call) -> bytes:
    """The first bytes of a prompt that is one string; b"" for lists and token ids."""
    head = bytes(memoryview(call.fields["prompt"])[: OPENING_BYTES + 2])
    return head[1:].removesuffix(b'"')[:OPENING_BYTES] if head.startswith(b'"') else b""


CODEC: Final = Codec(
    "completions",
    parse,
    opening,
    Form(b"/v1/completions", outgoing_with_usage, usage.from_answer, relay.of),
)

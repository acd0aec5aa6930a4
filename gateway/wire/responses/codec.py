"""POST /v1/responses: what the gateway itself requires of a body, and the two forms a backend can be asked in.

No state is kept between two requests, here or behind: a conversation sends its whole input each time. So a backend is
told not to store, which the API otherwise would have it do unasked. Only one that is configured to keep answers does,
and only there can `previous_response_id` be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire import openings, usage
from gateway.wire.call import JSON, MAX_ID_CHARS, Call, Codec, Form, read
from gateway.wire.call import outgoing as as_it_came
from gateway.wire.responses import errors as responses_errors
from gateway.wire.responses import relay as responses_relay
from gateway.wire.responses import request as responses_request
from gateway.wire.responses import stream as responses_stream
from gateway.wire.responses import usage as responses_usage
from gateway.wire.responses.items import is_string

_NULL: Final = msgspec.Raw(b"null")
_FALSE: Final = msgspec.Raw(b"false")
STATE: Final = {
    "conversation": "send the whole input, with the items of the earlier answers",
    "background": "leave it out and wait for the answer, or stream it",
}
"""Fields that need something kept between two requests, and what to send instead."""
ANSWER_ID: Final = "request_id"
"""vLLM's field for the id that the answer is to have; set only for a backend that keeps answers."""


def parse(body: bytes, content_type: bytes = JSON) -> Call:
    """Raises InvalidRequest."""
    fields = wire_body.fields(body)
    for needs_state, instead in STATE.items():
        if fields.get(needs_state, _NULL) not in (_NULL, _FALSE):
            words = f"{needs_state} needs something kept between requests, and nothing is: {instead}"
            raise InvalidRequest(words, param=needs_state)
    call = read("responses", body, fields, streams=True)
    said = wire_body.present(fields, "input")
    if not is_string(said) and bytes(memoryview(said)[:1]) != b"[":
        raise InvalidRequest("input must be a string or an array of items", param="input")
    if call.end_user is None and "safety_identifier" in fields:
        call = call.changed(end_user=wire_body.text(fields, "safety_identifier", MAX_ID_CHARS))
    if "previous_response_id" in fields:
        call = call.changed(continues=wire_body.text(fields, "previous_response_id", MAX_ID_CHARS))
    return call


def opening(call: Call) -> bytes:
    """The instructions, and the input up to its first item of the role user."""
    said = call.fields["input"]
    first = bytes(memoryview(said)[: openings.MAX_OPENING_BYTES]) if is_string(said) else openings.until_user(said)
    return bytes(memoryview(call.fields.get("instructions", _NULL))[: openings.MAX_OPENING_BYTES]) + first


def outgoing(call: Call, served_model: str, served_model_json: bytes, extra: Mapping[str, bytes]) -> bytes:
    """The body for a backend that speaks the API itself: as it came, but for what must change."""
    if ANSWER_ID not in extra and call.fields.get("store") != _FALSE:
        extra = {**extra, "store": b"false"}
    return as_it_came(call, served_model, served_model_json, extra)


CODEC: Final = Codec(
    "responses",
    parse,
    opening,
    native=Form(b"/v1/responses", outgoing, responses_usage.from_answer, responses_relay.of),
    translated=Form(
        b"/v1/chat/completions",
        responses_request.outgoing,
        usage.from_answer,
        responses_stream.Translation,
        answer=responses_stream.answer,
    ),
    errors=responses_errors.RESPONSES,
)

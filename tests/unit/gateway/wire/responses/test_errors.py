"""Errors as the Responses API tells them."""

from __future__ import annotations

import json

from gateway.errors import Internal, StreamBroken
from gateway.wire import sse
from gateway.wire.errors import OPENAI
from gateway.wire.responses.errors import RESPONSES, event


def test_a_stream_ends_with_an_event_that_names_the_error_where_it_is_documented_and_where_sdks_look() -> None:
    frame = event(StreamBroken("gone"), None, 7)
    assert frame.startswith(b"event: error\ndata: ")
    assert json.loads(sse.data(frame) or b"") == {
        "type": "error",
        "code": "stream_broken",
        "message": "gone",
        "param": None,
        "error": {"type": "upstream_error", "code": "stream_broken", "message": "gone", "param": None},
        "sequence_number": 7,
    }


def test_our_own_bugs_are_not_shown() -> None:
    told = json.loads(sse.data(RESPONSES.frame(Internal("secret"), "req_1")) or b"")
    assert told["message"] == "the gateway failed; its log has the cause under req_1"
    assert "sequence_number" not in told


def test_a_whole_answer_has_openais_shape() -> None:
    error = StreamBroken("gone")
    assert RESPONSES.body(error, "req_1") == OPENAI.body(error, "req_1")

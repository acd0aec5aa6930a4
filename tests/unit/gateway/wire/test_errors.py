"""Errors as answers and as frames."""

from __future__ import annotations

import inspect
import json

import pytest

from gateway import errors
from gateway.wire.errors import OPENAI, render

CLASSES = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, errors.GatewayError) and each is not errors.UpstreamRejected
]


def lines(headers: bytes) -> list[tuple[bytes, bytes]]:
    assert headers.endswith(b"\r\n")
    return [(name, value) for name, _, value in (line.partition(b": ") for line in headers.split(b"\r\n")[:-1])]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_has_openais_shape_and_says_whether_to_retry(kind: type[errors.GatewayError]) -> None:
    status, headers, body = render(kind("what went wrong", param="model"), "req-1", OPENAI)
    named = dict(lines(headers))
    told = json.loads(body)
    assert set(told) == {"error"}
    assert set(told["error"]) == {"message", "type", "param", "code"}
    assert (status, told["error"]["type"], told["error"]["code"]) == (kind.status, kind.type, kind.code)
    assert told["error"]["param"] == "model"
    assert named[b"content-type"] == b"application/json"
    assert b"content-length" not in named  # said by who sends it
    assert named[b"x-request-id"] == b"req-1"
    assert named.get(b"x-should-retry") == (None if kind.retryable else b"false")


def test_our_own_bug_shows_nothing_but_the_requests_id() -> None:
    _, _, body = render(errors.Internal("secret detail"), "req-9", OPENAI)
    assert b"secret" not in body
    assert b"req-9" in body
    assert b"secret" not in OPENAI.frame(errors.Internal("secret detail"), None)


def test_what_the_backend_said_of_the_request_is_passed_on_as_sent() -> None:
    said = b'{"object":"error","message":"too long"}'
    status, headers, body = render(errors.UpstreamRejected(422, b"application/json; charset=utf-8", said), "r", OPENAI)
    assert (status, body) == (422, said)
    assert dict(lines(headers))[b"content-type"] == b"application/json; charset=utf-8"
    assert dict(lines(headers))[b"x-should-retry"] == b"false"


def test_an_errors_own_headers_are_added() -> None:
    error = errors.UpstreamBusy("full", headers=(("retry-after", "2"),))
    assert (b"retry-after", b"2") in lines(render(error, "r", OPENAI)[1])


def test_a_frame_is_one_event_that_official_sdks_raise_on() -> None:
    told = OPENAI.frame(errors.StreamBroken("the backend broke\noff"), "req-1")
    assert told.startswith(b"data: {")
    assert told.endswith(b"}\n\n")
    assert told.count(b"\n") == 2
    assert json.loads(told[6:])["error"]["code"] == "stream_broken"

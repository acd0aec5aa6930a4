"""Protobuf that is written by hand is read by protobuf's own library."""

from __future__ import annotations

import json

import pytest

from gateway.errors import BodyTooLarge, GatewayError, Internal, InvalidRequest, RateLimited, Unauthenticated
from gateway.wire import errors as wire_errors
from gateway.wire.otlp import answer
from gateway.wire.otlp.sent import Counts
from tests.support import otlp


@pytest.mark.parametrize("rejected", [0, 1, 127, 128, 8_000])
def test_what_was_not_taken_is_told_in_either_form(rejected: int) -> None:
    otlp.require()
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    found = ExportTraceServiceResponse.FromString(answer.taken(Counts(3, rejected), "protobuf"))
    told = json.loads(answer.taken(Counts(3, rejected), "json"))
    assert found.HasField("partial_success") is bool(rejected)
    assert found.partial_success.rejected_spans == rejected
    if rejected:
        assert told["partialSuccess"]["rejectedSpans"] == str(rejected)
        assert told["partialSuccess"]["errorMessage"] == found.partial_success.error_message != ""
    else:
        assert told == {}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidRequest("no spans — at all"), 3),
        (Unauthenticated("who?"), 16),
        (BodyTooLarge("x" * 300), 3),
        (RateLimited("later"), 8),
        (Internal("a secret"), 2),
    ],
)
def test_a_refusal_is_a_status_in_the_form_of_the_request(error: GatewayError, code: int) -> None:
    otlp.require()
    from google.rpc.status_pb2 import Status

    status, headers, body = wire_errors.render(error, "req_1", answer.shape(b"application/x-protobuf"))
    found = Status.FromString(body)
    assert (status, found.code, found.message) == (error.status, code, wire_errors.message(error, "req_1"))
    assert b"content-type: application/x-protobuf\r\n" in headers
    assert "secret" not in found.message
    _, headers, body = wire_errors.render(error, "req_1", answer.shape(b"application/json"))
    assert json.loads(body) == {"code": code, "message": found.message}
    assert b"content-type: application/json\r\n" in headers


def test_who_sent_neither_form_is_told_in_json() -> None:
    assert answer.shape(b"text/plain") is answer.shape(b"application/json")

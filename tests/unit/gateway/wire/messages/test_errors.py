"""Errors in Anthropic's shape."""

from __future__ import annotations

import json

import pytest

from gateway import errors
from gateway.wire.messages.errors import ANTHROPIC, refusal, type_of
from tests.support.wire_samples import SAMPLES


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.InvalidRequest("x"), "invalid_request_error"),
        (errors.Unauthenticated("x"), "authentication_error"),
        (errors.ModelNotFound("x"), "not_found_error"),
        (errors.MethodNotAllowed("x"), "invalid_request_error"),
        (errors.SlowRequest("x"), "timeout_error"),
        (errors.BodyTooLarge("x"), "request_too_large"),
        (errors.UpstreamFailed("x"), "api_error"),
        (errors.UpstreamBusy("x"), "overloaded_error"),
        (errors.UpstreamTimeout("x"), "timeout_error"),
        (errors.Draining("x"), "overloaded_error"),
        (errors.Internal("x"), "api_error"),
    ],
)
def test_the_type_follows_the_status(error: errors.GatewayError, kind: str) -> None:
    told = json.loads(ANTHROPIC.body(error, "req_1"))
    assert told["type"] == "error"
    assert told["error"]["type"] == kind
    assert told["error"]["details"] == {"error_code": error.code}
    assert told["request_id"] == "req_1"


@pytest.mark.parametrize(("status", "kind"), [(422, "invalid_request_error"), (429, "rate_limit_error")])
def test_statuses_only_backends_give_have_a_word_too(status: int, kind: str) -> None:
    assert type_of(status) == kind


def test_the_place_is_told_beside_the_code() -> None:
    told = json.loads(ANTHROPIC.body(errors.InvalidRequest("x", param="messages[0]"), None))
    assert told["error"]["details"] == {"error_code": "invalid_request", "param": "messages[0]"}


def test_a_bug_of_ours_shows_nothing_but_the_id() -> None:
    said = json.loads(ANTHROPIC.body(errors.Internal("secret detail"), "req_9"))["error"]["message"]
    assert "secret" not in said
    assert "req_9" in said


def test_a_frame_is_an_error_event() -> None:
    frame = ANTHROPIC.frame(errors.StreamBroken("it broke\nhere"), "req_1")
    event, data = frame.removesuffix(b"\n\n").split(b"\n")
    assert event == b"event: error"
    assert json.loads(data.removeprefix(b"data: "))["error"]["message"] == "it broke\nhere"


@pytest.mark.parametrize("sample", ["vllm/messages_error", "vllm/messages_error_too_long"])
def test_a_refusal_in_this_shape_passes_as_it_was_sent(sample: str) -> None:
    sent = (SAMPLES / f"{sample}.json").read_bytes()
    assert refusal(400, sent) is sent


@pytest.mark.parametrize(
    "sample",
    [
        "vllm/messages_error_type",
        "llama_cpp/messages_error_type",
        "llama_cpp/messages_error_too_long",
        "vllm/error_type",
    ],
)
def test_a_refusal_in_openais_shape_keeps_its_words(sample: str) -> None:
    sent = (SAMPLES / f"{sample}.json").read_bytes()
    told = json.loads(refusal(400, sent))
    assert told["type"] == "error"
    assert told["error"]["type"] == "invalid_request_error"
    assert told["error"]["message"] == json.loads(sent)["error"]["message"]
    assert told["error"]["details"] == {"error_code": "upstream_rejected"}


@pytest.mark.parametrize("sent", [b"", b"<html>", b'{"detail":"no"}', b'{"error":"no"}', b'{"error":null}', b"[]"])
def test_a_refusal_without_words_gets_some(sent: bytes) -> None:
    told = json.loads(refusal(413, sent))["error"]
    assert (told["type"], told["message"]) == ("request_too_large", "the backend refused the request with status 413")

"""gateway.backends.provider_call"""

from __future__ import annotations

from typing import Any

import pytest

from gateway.backends import provider_call
from gateway.errors import InvalidRequest

HI = [{"role": "user", "content": "hi"}]


def refused(endpoint: str, request: dict[str, Any], provider: str = "anthropic") -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        provider_call.arguments(endpoint, request, provider)
    return caught.value


def test_known_fields_pass_and_null_counts_as_left_out() -> None:
    request = {
        "model": "m",
        "messages": HI,
        "temperature": 1,
        "top_p": 0.5,
        "stop": None,
        "tools": [{"type": "function"}],
    }
    assert provider_call.arguments("chat", request, "openai") == {
        "messages": HI,
        "temperature": 1,
        "top_p": 0.5,
        "tools": [{"type": "function"}],
    }


@pytest.mark.parametrize(
    "field", ["api_base", "api_key", "base_url", "custom_llm_provider", "mock_response", "fallbacks", "extra_headers"]
)
@pytest.mark.parametrize("endpoint", ["chat", "completions", "embeddings"])
def test_litellms_own_arguments_are_no_callers_fields(endpoint: str, field: str) -> None:
    error = refused(endpoint, {"messages": HI, "prompt": "x", "input": "x", field: "x"})
    assert error.param in (field, "messages", "prompt", "input")  # the first that the endpoint does not have


@pytest.mark.parametrize(
    ("request_", "param"),
    [
        ({"messages": HI, "temperature": "hot"}, "temperature"),
        ({"messages": HI, "temperature": True}, "temperature"),
        ({"messages": HI, "n": 1.5}, "n"),
        ({"messages": HI, "stream": 1}, "stream"),
        ({"messages": HI, "tools": "x"}, "tools"),
        ({"messages": HI, "tools": ["x"]}, "tools"),
        ({"messages": "hi"}, "messages"),
        ({"messages": []}, "messages"),
        ({}, "messages"),
        ({"messages": ["hi"]}, "messages[0]"),
        ({"messages": [*HI, {"content": "x"}]}, "messages[1]"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content"),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused_before_the_provider_is_asked(
    request_: dict[str, Any], param: str
) -> None:
    assert refused("chat", request_).param == param


def test_nothing_a_caller_names_is_fetched_from_our_network() -> None:
    for part in (
        {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest"}},
        {"type": "image_url", "image_url": " HTTPS://example.com/x.png"},
        {"type": "file", "file": {"file_id": "gs://bucket/x"}},
    ):
        request = {"messages": [{"role": "user", "content": [{"type": "text", "text": "see"}, part]}]}
        assert refused("chat", request).param == "messages[0].content[1]"
        assert provider_call.arguments("chat", request, "openai")  # it fetches for itself
    inline = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    told = {"type": "text", "text": "https://example.com is a site"}
    assert provider_call.arguments("chat", {"messages": [{"role": "user", "content": [inline, told]}]}, "anthropic")


# -- failures


class APIError(Exception):
    """As litellm's errors look from outside."""

    def __init__(self, message: str, status: int | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.litellm_response_headers = headers
        if status is not None:
            self.status_code = status


class BadRequestError(APIError):
    pass


class ContextWindowExceededError(BadRequestError):
    pass


class ContentPolicyViolationError(BadRequestError):
    pass


class RateLimitError(APIError):
    pass


class APITimeoutError(APIError):
    pass


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadRequestError("x", 400), 400, "provider_rejected"),
        (BadRequestError("x", 422), 422, "provider_rejected"),
        (BadRequestError("pay", 402), 403, "provider_wants_payment"),
        (ContextWindowExceededError("x", 400), 400, "context_length_exceeded"),
        (ContentPolicyViolationError("x", 400), 400, "content_filter"),
        (RateLimitError("x", 429), 429, "rate_limit_exceeded"),
        (APITimeoutError("x", 408), 504, "timeout"),
        (TimeoutError(), 504, "timeout"),
        (APIError("x", 401), 401, "provider_refused_key"),
        (APIError("x", 403), 403, "provider_refused_key"),
        (APIError("x", 307), 502, "provider_failed"),
        (APIError("x", 500), 502, "provider_failed"),
        (APIError("x", 529), 503, "provider_overloaded"),
        (KeyError("content"), 502, "provider_failed"),
    ],
)
def test_each_failure_says_whose_move_it_is(error: Exception, status: int, code: str) -> None:
    found = provider_call.failure(error, ())
    assert (found.status, found.code) == (status, code)
    assert found.body["error"]["code"] == code


def test_a_request_that_litellm_stumbles_over_is_not_the_providers_failure() -> None:
    error = APIError("Traceback: 'function'", 500)
    error.__context__ = KeyError("function")
    found = provider_call.failure(error, (), sent=False)
    assert (found.status, found.message) == (400, "this request cannot be put into the provider's format")
    assert provider_call.failure(error, (), sent=True).status == 502
    error.__context__ = ConnectionRefusedError()
    assert provider_call.failure(error, (), sent=False).status == 502  # credentials of a cloud that cannot be fetched
    error.__context__.__context__ = error
    assert provider_call.failure(error, (), sent=False).status == 502


def test_only_a_refused_request_is_told_in_the_providers_words_without_wrapping_or_secrets() -> None:
    said = "litellm.BadRequestError: OpenAIException - bad voice for sk-1\nReceived Messages=[{'content': 'private'}]"
    assert provider_call.failure(BadRequestError(said, 400), ("sk-1", "")).message == "bad voice for …"
    said = 'litellm.BadRequestError: AnthropicException - {"type": "error", "error": {"message": "too odd"}}'
    assert provider_call.failure(BadRequestError(said, 400), ()).message == "too odd"
    for status in (401, 403, 429, 500, 503):
        assert "private" not in provider_call.failure(APIError("private", status), ()).message


@pytest.mark.parametrize(("sent", "told"), [("7", "7"), ("soon", None), ("", None), ("1e9", None)])
def test_a_retry_after_is_passed_on_when_it_is_a_number(sent: str, told: str | None) -> None:
    assert provider_call.failure(RateLimitError("x", 429, {"retry-after": sent}), ()).retry_after == told


# -- answers


def test_an_answer_has_openais_shape_and_no_usage_that_nobody_stated() -> None:
    message = {"role": "assistant", "tool_calls": [], "provider_specific_fields": {"refusal": None}}
    answer = {"choices": [{"message": message}], "usage": {"prompt_tokens": 0, "total_tokens": 0}}
    shaped = provider_call.whole(answer, "chat")
    assert shaped == {"choices": [{"message": {"role": "assistant", "tool_calls": [], "content": None}}]}
    stated = {"data": [], "usage": {"prompt_tokens": 3, "total_tokens": 3, "cost": 0.1}}
    assert provider_call.whole(stated, "embeddings") == {"data": [], "usage": {"prompt_tokens": 3, "total_tokens": 3}}


def test_the_frame_with_the_usage_has_no_choices() -> None:
    chunk = {"choices": [{"index": 0, "delta": {}}], "usage": {"prompt_tokens": 1, "cost": 1}}
    assert provider_call.frame(chunk, "chat") == {"choices": [], "usage": {"prompt_tokens": 1}}
    assert provider_call.frame({"choices": [{"index": 0}]}, "chat") == {"choices": [{"index": 0, "delta": {}}]}
    assert provider_call.frame({"choices": [{"index": 0}]}, "completions") == {"choices": [{"index": 0, "text": ""}]}

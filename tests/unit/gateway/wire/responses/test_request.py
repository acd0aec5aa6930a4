"""A Responses request as the chat request that asks the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.responses import codec as responses
from gateway.wire.responses import request as responses_request

USER = [{"role": "user", "content": "hi"}]


def chat(served: str = "m", **fields: Any) -> Any:
    call = responses.parse(json.dumps({"model": "m", "input": "hi", **fields}).encode())
    return json.loads(responses_request.outgoing(call, served, json.dumps(served).encode(), {}))


def test_the_least_request_is_the_least_chat() -> None:
    assert chat() == {"model": "m", "messages": USER}
    assert chat("served") == {"model": "served", "messages": USER}


def test_a_stream_is_asked_for_its_usage() -> None:
    assert chat(stream=True, stream_options={"include_obfuscation": False}) == {
        "model": "m",
        "messages": USER,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_what_chat_says_otherwise_is_said_so() -> None:
    asked = chat(
        max_output_tokens=9,
        reasoning={"effort": "low", "summary": "auto"},
        include=["message.output_text.logprobs", "reasoning.encrypted_content"],
        top_logprobs=2,
        text={"verbosity": "low"},
        tools=[{"type": "function", "name": "f"}],
        tool_choice="required",
        parallel_tool_calls=False,
    )
    assert asked == {
        "model": "m",
        "messages": USER,
        "max_completion_tokens": 9,
        "reasoning_effort": "low",
        "logprobs": True,
        "top_logprobs": 2,
        "verbosity": "low",
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    }


def test_what_means_the_same_or_is_a_servers_own_passes() -> None:
    same: dict[str, Any] = {
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "seed": 7,
        "top_k": 5,
        "service_tier": "flex",
    }
    assert chat(**same) == {"model": "m", "messages": USER, **same}


def test_what_asks_for_nothing_of_the_backend_is_left_out() -> None:
    left_out: dict[str, Any] = {
        "store": True,
        "metadata": {"a": "b"},
        "truncation": "disabled",
        "max_tool_calls": 3,
        "include": ["reasoning.encrypted_content"],
        "top_logprobs": 3,
        "parallel_tool_calls": True,
        "prompt": None,
        "background": False,
        "previous_response_id": None,
    }
    assert chat(**left_out) == {"model": "m", "messages": USER}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"context_management": []}, "context_management"),
        ({"moderation": {}}, "moderation"),
        ({"truncation": "auto"}, "truncation"),
        ({"truncation": 5}, "truncation"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"effort": 5}}, "reasoning.effort"),
        ({"reasoning": 5}, "reasoning"),
        ({"include": "all"}, "include"),
        ({"include": ["message.output_text.logprobs"], "top_logprobs": -1}, "top_logprobs"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"text": 5}, "text"),
        ({"instructions": 5}, "instructions"),
        ({"messages": []}, "messages"),
        ({"n": 2}, "n"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"parallel_tool_calls": "no", "tools": [{"type": "function", "name": "f"}]}, "parallel_tool_calls"),
    ],
)
def test_what_chat_cannot_say_is_refused_by_name(fields: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        chat(**fields)
    assert refused.value.param == param


def test_each_field_of_the_api_is_known_here() -> None:
    """A field that a new version of the API brings must be put into one of the sets, or be one that may pass."""
    from openai.types.responses.response_create_params import ResponseCreateParamsBase

    passes = {"model", "temperature", "top_p", "user", "safety_identifier", "service_tier"}
    passes |= {"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention"}
    known = responses_request.TRANSLATED | responses_request.LEFT_OUT | responses_request.REFUSED | passes
    assert set(ResponseCreateParamsBase.__annotations__) <= known

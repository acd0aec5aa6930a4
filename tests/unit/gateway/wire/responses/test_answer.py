"""The Response object."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from openai.types.responses import Response

from gateway.wire.chat_chunks import Head
from gateway.wire.responses import answer as responses_answer
from gateway.wire.responses import codec as responses
from gateway.wire.usage import Usage


def made(finish_reason: str | None, **fields: Any) -> Any:
    call = responses.parse(json.dumps({"model": "m", "input": "hi", **fields}).encode())
    echoed = responses_answer.echo(call.fields)
    item = responses_answer.message("msg_1", [responses_answer.output_text("hello", [])], "completed")
    found = responses_answer.response(call, echoed, Head("chatcmpl-7", 5), [item], finish_reason, Usage(5, 1, 2, 1))
    return json.loads(msgspec.json.encode(found))


def test_it_is_an_object_of_the_official_package() -> None:
    found = Response.model_validate(made("stop"), strict=True)
    assert (found.id, found.created_at, found.model, found.output_text) == ("resp_7", 5, "m", "hello")
    assert found.usage is not None
    assert (found.usage.input_tokens, found.usage.output_tokens, found.usage.total_tokens) == (6, 3, 9)


@pytest.mark.parametrize(
    ("finish_reason", "status", "details"),
    [
        (None, "in_progress", None),
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", {"reason": "max_output_tokens"}),
        ("content_filter", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_how_a_chat_ended_is_how_the_response_did(finish_reason: str | None, status: str, details: Any) -> None:
    found = made(finish_reason)
    assert (found["status"], found["incomplete_details"]) == (status, details)


def test_the_requests_fields_are_said_again_and_the_rest_has_its_defaults() -> None:
    tools = [{"type": "function", "name": "f", "parameters": {}, "strict": False}]
    found = made("stop", instructions="i", tools=tools, metadata={"a": "b"}, temperature=0.5, top_p=None)
    assert (found["instructions"], found["tools"], found["metadata"]) == ("i", tools, {"a": "b"})
    assert (found["temperature"], found["top_p"], found["truncation"], found["tool_choice"]) == (
        *(0.5, None, "disabled", "auto"),
    )


@pytest.mark.parametrize("store", [True, False, None])
def test_it_says_that_nothing_was_stored(store: bool | None) -> None:
    assert made("stop", store=store)["store"] is False


def test_an_answer_without_an_id_has_one() -> None:
    ids = responses_answer.Ids(Head("", 0))
    assert (ids.response, ids.item("msg", 2)) == ("resp_unnamed", "msg_unnamed_2")

"""What the gateway itself requires of a Responses request, and what it sends to a backend that speaks the API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.call import Call
from gateway.wire.responses import codec as responses


def parse(**fields: Any) -> Call:
    return responses.parse(json.dumps({"model": "m", "input": "hi", **fields}).encode())


def sent(call: Call, served: str = "m", **extra: bytes) -> Any:
    return json.loads(responses.outgoing(call, served, json.dumps(served).encode(), extra))


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"input": None}, "input"),
        ({"input": 5}, "input"),
        ({"input": {"role": "user"}}, "input"),
        ({"stream": "yes"}, "stream"),
        ({"previous_response_id": 5}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"user": "x" * 513}, "user"),
        ({"safety_identifier": 5}, "safety_identifier"),
    ],
)
def test_a_request_that_cannot_be_served_is_refused_by_the_name_of_the_field(fields: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(**fields)
    assert refused.value.param == param


def test_a_refused_state_says_what_to_send_instead() -> None:
    with pytest.raises(InvalidRequest, match="send the whole input"):
        parse(conversation="conv_1")


def test_an_answer_to_go_on_from_is_read_and_whether_it_is_kept_is_for_others_to_say() -> None:
    assert parse(previous_response_id="resp_1").continues == "resp_1"
    assert parse().continues is None


def test_a_state_that_is_not_asked_for_is_no_matter() -> None:
    call = parse(previous_response_id=None, conversation=None, background=False, stream=True)
    assert (call.endpoint, call.alias, call.stream, call.conversation) == ("responses", "m", True, None)


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        ({}, None),
        ({"user": "a"}, "a"),
        ({"safety_identifier": "b"}, "b"),
        ({"user": "a", "safety_identifier": "b"}, "a"),
    ],
)
def test_the_end_user_goes_by_two_names(fields: Any, user: str | None) -> None:
    assert parse(**fields).end_user == user


def test_a_backend_is_never_asked_to_store() -> None:
    assert sent(parse()) == {"model": "m", "input": "hi", "store": False}
    assert sent(parse(store=True))["store"] is False


def test_a_request_that_needs_no_change_passes_as_it_came() -> None:
    body = b'{ "model":"m", "input":"hi" ,"store":false}'
    assert responses.outgoing(responses.parse(body), "m", b'"m"', {}) is body


def test_the_model_is_named_as_the_backend_knows_it_and_what_the_gateway_adds_is_there() -> None:
    assert sent(parse(), "served", cache_salt=b'"s"') == {
        "model": "served",
        "input": "hi",
        "store": False,
        "cache_salt": "s",
    }


def test_turns_of_a_conversation_open_alike() -> None:
    first = [{"role": "developer", "content": "be brief"}, {"role": "user", "content": "hi"}]
    later = [*first, {"role": "assistant", "content": "yes?"}, {"role": "user", "content": "ho"}]
    opening = responses.opening(parse(instructions="you", input=first))
    assert opening == responses.opening(parse(instructions="you", input=later))
    assert opening != responses.opening(parse(instructions="me", input=later))
    assert responses.opening(parse(input="hi")) == b'null"hi"'

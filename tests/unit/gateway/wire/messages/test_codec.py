"""What the messages endpoints require, and how a conversation in Anthropic's format opens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire.messages import codec as messages

USER = {"role": "user", "content": "hi"}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "max_tokens": 5, "messages": [USER], **fields}).encode()


def test_a_request_is_read_as_far_as_the_gateway_needs() -> None:
    call = messages.parse(body(stream=True, metadata={"user_id": "u1"}, system="short"))
    assert (call.endpoint, call.alias, call.stream, call.end_user) == ("messages", "m", True, "u1")
    assert not call.asks_usage


def test_a_count_is_never_a_stream() -> None:
    call = messages.parse_count(body(stream=True))
    assert (call.endpoint, call.stream) == ("messages_count", False)


def test_max_tokens_is_the_backends_to_ask_for() -> None:
    assert messages.parse(b'{"model":"m","messages":[1]}').alias == "m"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"model": ""}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"metadata": "me"}, "metadata"),
        ({"metadata": {"user_id": 5}}, "user_id"),
        ({"metadata": {"user_id": "x" * 600}}, "user_id"),
    ],
)
@pytest.mark.parametrize("parse", [messages.parse, messages.parse_count])
def test_a_wrong_field_is_refused_by_name(parse: Any, fields: dict[str, Any], param: str) -> None:
    if parse is messages.parse_count and param == "stream":
        return
    with pytest.raises(InvalidRequest) as refused:
        parse(body(**fields))
    assert refused.value.param == param


def test_no_metadata_is_no_end_user() -> None:
    for metadata in (None, {}, {"user_id": None}):
        assert messages.parse(body(metadata=metadata)).end_user is None


def test_a_conversation_opens_with_its_system_prompt_and_the_first_message_of_the_user() -> None:
    answer = {"role": "assistant", "content": [{"type": "text", "text": "hello"}]}
    first = messages.opening(messages.parse(body(system="be brief")))
    later = messages.opening(messages.parse(body(system="be brief", messages=[USER, answer, USER])))
    other = messages.opening(messages.parse(body(system="be long")))
    none = messages.opening(messages.parse(body()))
    assert first == later
    assert len({first, other, none}) == 3


def test_a_backend_that_speaks_the_format_gets_the_very_body_that_came() -> None:
    sent = body(thinking={"type": "adaptive"}, unknown=[1, 2.5])
    call = messages.parse(sent)
    assert messages.CODEC.native.outgoing(call, "m", b'"m"', {}) is call.body
    renamed = messages.CODEC.native.outgoing(call, "served", b'"served"', {"cache_salt": b'"s"'})
    assert json.loads(renamed) == {**json.loads(sent), "model": "served", "cache_salt": "s"}


def test_a_count_carries_nothing_of_a_cache() -> None:
    call = messages.parse_count(body())
    assert messages.COUNT.native.outgoing(call, "m", b'"m"', {"cache_salt": b'"s"'}) is call.body
    assert messages.COUNT.native.usage(b'{"input_tokens": 5}') is None

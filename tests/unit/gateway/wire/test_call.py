"""What all endpoints read of a body, and the bytes that go on to the backend."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire import call as wire_call
from gateway.wire import chat
from gateway.wire.call import Call, outgoing, outgoing_with_usage

MESSAGES = [{"role": "user", "content": "hi"}]


def parsed(**more: Any) -> Call:
    return chat.parse(json.dumps({"model": "m", "messages": MESSAGES, **more}).encode())


def refused(**more: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        parsed(**more)
    return caught.value


def test_a_plain_call_has_its_defaults() -> None:
    call = parsed()
    assert (call.endpoint, call.alias, call.stream, call.asks_usage) == ("chat", "m", False, False)
    assert (call.end_user, call.conversation, call.choices) == (None, None, 1)


def test_a_stream_asks_for_usage_only_when_it_says_so() -> None:
    assert parsed(stream=True).asks_usage is False
    assert parsed(stream=True, stream_options=None).asks_usage is False
    assert parsed(stream=True, stream_options={"include_usage": False}).asks_usage is False
    assert parsed(stream=True, stream_options={"include_usage": True}).asks_usage is True
    assert parsed(stream=False, stream_options={"include_usage": True}).asks_usage is False


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("model", None),
        ("model", ""),
        ("model", 1),
        ("model", ["m"]),
        ("model", "m" * 257),
        ("stream", "true"),
        ("stream", 1),
        ("n", 0),
        ("n", "2"),
        ("n", 1.5),
        ("user", 7),
        ("user", "u" * 513),
    ],
)
def test_a_field_of_the_wrong_type_is_refused_by_name(field: str, value: object) -> None:
    error = refused(**{field: value})
    assert error.param == field
    assert field in error.message


def test_stream_options_of_the_wrong_type_are_refused_where_they_matter() -> None:
    assert refused(stream=True, stream_options=5).param == "stream_options"
    assert refused(stream=True, stream_options={"include_usage": "yes"}).param == "include_usage"
    assert parsed(stream=False, stream_options=5).stream is False


def test_a_conversation_is_named_by_its_id_or_by_the_previous_response() -> None:
    assert parsed(conversation="c1").conversation == "c1"
    assert parsed(conversation={"id": "c1", "more": 1}).conversation == "c1"
    assert parsed(previous_response_id="r1").conversation == "r1"
    assert parsed(conversation="c1", previous_response_id="r1").conversation == "c1"
    assert parsed(conversation=None, previous_response_id="r1").conversation == "r1"


@pytest.mark.parametrize("odd", [5, [], {}, {"id": 5}, "", None, True])
def test_a_conversation_of_another_shape_names_nothing_and_is_no_error(odd: object) -> None:
    assert parsed(conversation=odd).conversation is None
    assert parsed(previous_response_id=odd).conversation is None


def test_an_id_that_would_fill_the_record_is_refused() -> None:
    assert refused(conversation="c" * 513).param == "conversation"


def test_choices_and_end_user_are_read() -> None:
    call = parsed(n=3, user="u-1")
    assert (call.choices, call.end_user) == (3, "u-1")
    assert parsed(n=None, user=None).choices == 1


def sent(call: Call, model: str = "m", ask_usage: bool = False, **extra: bytes) -> bytes:
    form = outgoing_with_usage if ask_usage else outgoing
    return form(call, model, json.dumps(model).encode(), extra)


def test_a_body_that_need_not_change_goes_on_as_the_very_object_that_came() -> None:
    call = parsed()
    assert sent(call) is call.body
    assert sent(call, ask_usage=True) is call.body  # not a stream
    asking = parsed(stream=True, stream_options={"include_usage": True})
    assert sent(asking, ask_usage=True) is asking.body


def test_the_model_is_renamed_in_its_place_and_all_else_kept() -> None:
    call = chat.parse(b'{ "x": 1.0, "model" :"m","messages":[ {"role":"user"} ] }')
    assert sent(call, "org/served") == b'{"x":1.0,"model":"org/served","messages":[ {"role":"user"} ]}'


def test_usage_is_asked_for_beside_the_callers_other_stream_options() -> None:
    for options, then in (
        (None, {"include_usage": True}),
        ({"include_usage": False}, {"include_usage": True}),
        ({"continuous_usage_stats": True}, {"continuous_usage_stats": True, "include_usage": True}),
    ):
        call = parsed(stream=True, stream_options=options)
        assert json.loads(sent(call, ask_usage=True))["stream_options"] == then
        assert call.asks_usage is False


def test_extra_fields_are_set_over_the_callers_own() -> None:
    call = parsed(cache_salt="mine")
    assert json.loads(sent(call, cache_salt=b'"folded"'))["cache_salt"] == "folded"
    assert json.loads(sent(parsed(), cache_salt=b'"ours"'))["cache_salt"] == "ours"


def test_the_bound_of_a_models_name_is_inclusive() -> None:
    longest = "m" * wire_call.MAX_MODEL_CHARS
    assert parsed(model=longest).alias == longest

"""What chat requires, and how a conversation's opening is found in its messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire import chat


def chat_body(messages: Any, **how: Any) -> bytes:
    return json.dumps({"model": "m", "messages": messages}, **how).encode()


def opening(messages: Any, **how: Any) -> bytes:
    return chat.opening(chat.parse(chat_body(messages, **how)))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"model":"m"}', "messages is required"),
        (b'{"model":"m","messages":null}', "messages is required"),
        (b'{"model":"m","messages":[]}', "messages must not be empty"),
        (b'{"model":"m","messages":[ \n ]}', "messages must not be empty"),
        (b'{"model":"m","messages":"hi"}', "messages must be an array"),
        (b'{"model":"m","messages":{"role":"user"}}', "messages must be an array"),
        (b'{"model":"m","messages":5}', "messages must be an array"),
    ],
)
def test_messages_must_be_a_non_empty_array(body: bytes, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as refused:
        chat.parse(body)
    assert refused.value.param == "messages"


def test_what_is_inside_the_messages_is_the_backends_to_judge() -> None:
    odds: list[object] = [[1], [None], [{"role": "robot"}], [{}], [[]]]
    for odd in odds:
        assert chat.parse(chat_body(odd)).endpoint == "chat"


SYSTEM = {"role": "system", "content": 'be "brief" [and] {kind} \\', "name": "\\\\"}
USER = {"content": [{"type": "text", "text": 'hi } ] "role":"assistant"'}, {"type": "image_url"}], "role": "user"}
ANSWER = {"role": "assistant", "content": None, "tool_calls": [{"function": {"arguments": '{"role": "user"}'}}]}


@pytest.mark.parametrize("how", [{}, {"separators": (",", ":")}, {"indent": 2}, {"ensure_ascii": False}])
def test_every_turn_of_a_conversation_opens_with_the_same_bytes(how: dict[str, Any]) -> None:
    first = opening([SYSTEM, USER], **how)
    assert first.endswith(b"}")
    assert json.loads(first + b"]") == [SYSTEM, USER]
    assert opening([SYSTEM, USER, ANSWER, {"role": "user", "content": "and?"}], **how) == first


def test_another_first_question_is_another_opening() -> None:
    assert opening([SYSTEM, {"role": "user", "content": "a"}]) != opening([SYSTEM, {"role": "user", "content": "b"}])


def test_a_role_inside_a_message_is_not_the_messages_role() -> None:
    nested = {"role": "assistant", "content": [{"role": "user"}]}
    assert json.loads(opening([nested, USER, ANSWER]) + b"]") == [nested, USER]


def test_a_conversation_without_a_user_opens_with_all_of_its_messages() -> None:
    assert json.loads(opening([SYSTEM])) == [SYSTEM]
    assert json.loads(opening([1, "x", [{"role": "user"}]])) == [1, "x", [{"role": "user"}]]


def test_an_opening_is_bounded_and_still_the_same_in_each_turn() -> None:
    long = {"role": "user", "content": "x" * 50_000}
    assert len(opening([long])) == chat.MAX_OPENING_BYTES
    assert opening([long]) == opening([long, ANSWER, long])

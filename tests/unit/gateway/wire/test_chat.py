"""What chat requires of a body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.wire import chat


def chat_body(messages: Any, **how: Any) -> bytes:
    return json.dumps({"model": "m", "messages": messages}, **how).encode()


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

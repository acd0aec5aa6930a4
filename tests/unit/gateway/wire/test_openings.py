"""How a conversation's opening is found in its messages."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire import chat, openings


def opening(messages: Any, **how: Any) -> bytes:
    return chat.opening(chat.parse(json.dumps({"model": "m", "messages": messages}, **how).encode()))


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
    assert len(opening([long])) == openings.MAX_OPENING_BYTES
    assert opening([long]) == opening([long, ANSWER, long])

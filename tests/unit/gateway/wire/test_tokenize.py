import json
from typing import Any

import pytest

from gateway.wire import chat, completions, embeddings, tokenize
from gateway.wire.call import Codec
from gateway.wire.messages.codec import CODEC as MESSAGES
from gateway.wire.responses.codec import CODEC as RESPONSES

SAID = [{"role": "user", "content": "hi"}]


def question(codec: Codec, fields: dict[str, Any], native: bool = True) -> tuple[str, dict[str, Any]] | None:
    body = json.dumps({"model": "m"} | fields).encode()
    asked = tokenize.question(codec.parse(body, b"application/json"), "served", b'"served"', native=native)
    return None if asked is None else (asked[0].decode(), json.loads(asked[1]))


def test_a_chat_is_asked_for_with_all_that_its_template_gets() -> None:
    more = {"tools": [{"type": "function", "function": {"name": "f"}}], "chat_template_kwargs": {"a": 1}}
    asked = question(chat.CODEC, {"messages": SAID, "max_tokens": 3, "temperature": 0, **more})
    assert asked == ("/tokenize", {"model": "served", "messages": SAID, **more})


@pytest.mark.parametrize(("codec", "name"), [(completions.CODEC, "prompt"), (embeddings.CODEC, "input")])
def test_a_text_is_asked_for_and_several_are_not(codec: Codec, name: str) -> None:
    assert question(codec, {name: "some text"}) == ("/tokenize", {"model": "served", "prompt": "some text"})
    assert question(codec, {name: ["some", "texts"]}) is None
    assert question(codec, {name: [1, 2, 3]}) is None


def test_messages_are_counted_by_whoever_speaks_them_or_as_the_chat_they_become() -> None:
    said = {"messages": SAID, "system": "be brief", "max_tokens": 4}
    asked = question(MESSAGES, said)
    assert asked is not None
    assert asked[0] == "/v1/messages/count_tokens"
    asked = question(MESSAGES, said, native=False)
    assert asked is not None
    assert asked == (
        "/tokenize",
        {"model": "served", "messages": [{"role": "system", "content": "be brief"}, *asked[1]["messages"][1:]]},
    )
    assert question(MESSAGES, {"messages": [{"role": "user", "content": [{"type": "odd"}]}]}, native=False) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_effort": "low"},
        {"documents": [{"text": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": ""}}]}]},
    ],
)
def test_what_a_count_would_leave_out_is_not_asked_for(fields: dict[str, Any]) -> None:
    assert question(chat.CODEC, {"messages": SAID, **fields}) is None


def test_what_a_template_adds_is_asked_with_a_message_two_more_a_tool_and_one_more() -> None:
    asked = [json.loads(body) for body in tokenize.examples(b'"served"')]
    assert [each["model"] for each in asked] == ["served"] * 4
    assert [len(each["messages"]) for each in asked] == [1, 3, 1, 1]
    assert [len(each.get("tools", [])) for each in asked] == [0, 0, 1, 2]


def test_responses_are_not_asked_for() -> None:
    assert question(RESPONSES, {"input": "hi"}) is None


@pytest.mark.parametrize(
    ("answer", "count"),
    [
        (b'{"count": 12, "tokens": [1]}', 12),
        (b'{"input_tokens": 7}', 7),
        (b'{"count": -1}', None),
        (b'{"count": "12"}', None),
        (b"{}", None),
        (b"[12]", None),
        (b"\xff", None),
    ],
)
def test_only_a_count_is_taken_for_one(answer: bytes, count: int | None) -> None:
    assert tokenize.counted(answer) == count

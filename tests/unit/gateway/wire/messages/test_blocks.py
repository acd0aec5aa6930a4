"""Anthropic's content as a chat's messages: what becomes what, and how a refusal names its place."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.wire.messages import blocks as messages_blocks


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value, ensure_ascii=False).encode())


def translated(messages: Any, system: Any = None) -> Any:
    found = messages_blocks.translate(None if system is None else raw(system), raw(messages))
    return json.loads(msgspec.json.encode(found))


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **more}


CALL = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Oslo", "deep": [1, {"é": None}]}}
CALLED = {
    "id": "t1",
    "type": "function",
    "function": {"name": "weather", "arguments": json.dumps(CALL["input"], ensure_ascii=False)},
}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO+/=="}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO+/=="}}
LINK = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}


def result(content: Any = None, **more: Any) -> dict[str, Any]:
    found = {"type": "tool_result", "tool_use_id": "t1", **more}
    return found if content is None else {**found, "content": content}


@pytest.mark.parametrize(
    ("message", "chat"),
    [
        ({"role": "user", "content": 'say "hi" \n é 🚀'}, [{"role": "user", "content": 'say "hi" \n é 🚀'}]),
        (user(text("one", cache_control={"type": "ephemeral"})), [{"role": "user", "content": "one"}]),
        (user(text("one"), text("two")), [{"role": "user", "content": [text("one"), text("two")]}]),
        (user(text("see"), PNG), [{"role": "user", "content": [text("see"), PNG_PART]}]),
        (user(LINK), [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}]),
        (user(), [{"role": "user", "content": ""}]),
        ({"role": "assistant", "content": "yes"}, [{"role": "assistant", "content": "yes"}]),
        (assistant(text("a", citations=[]), text("b")), [{"role": "assistant", "content": "ab"}]),
        (assistant(text("a"), CALL), [{"role": "assistant", "content": "a", "tool_calls": [CALLED]}]),
        (assistant(CALL, CALL), [{"role": "assistant", "content": None, "tool_calls": [CALLED, CALLED]}]),
        (assistant(), [{"role": "assistant", "content": ""}]),
        ({"role": "system", "content": [text("a"), text("b")]}, [{"role": "system", "content": "a\nb"}]),
        (user(result("rain")), [{"role": "tool", "tool_call_id": "t1", "content": "rain"}]),
        (user(result()), [{"role": "tool", "tool_call_id": "t1", "content": ""}]),
        (user(result([text("a"), text("b")])), [{"role": "tool", "tool_call_id": "t1", "content": "a\nb"}]),
        (user(result("no", is_error=True)), [{"role": "tool", "tool_call_id": "t1", "content": "Error: no"}]),
        (user(result("ok", is_error=False)), [{"role": "tool", "tool_call_id": "t1", "content": "ok"}]),
    ],
)
def test_what_a_message_becomes(message: Any, chat: list[Any]) -> None:
    assert translated([message]) == chat


def test_thinking_of_earlier_turns_is_left_out() -> None:
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    hidden = {"type": "redacted_thinking", "data": "xx"}
    assert translated([assistant(thought, hidden, text("so"))]) == [{"role": "assistant", "content": "so"}]
    assert translated([assistant(thought)]) == [{"role": "assistant", "content": ""}]


def test_results_come_before_what_the_user_says_with_their_images_behind_them() -> None:
    said = user(text("well?"), result([text("seen"), PNG]), result("two", tool_use_id="t2"))
    assert translated([said]) == [
        {"role": "tool", "tool_call_id": "t1", "content": "seen"},
        {"role": "tool", "tool_call_id": "t2", "content": "two"},
        {"role": "user", "content": [text("well?"), PNG_PART]},
    ]


@pytest.mark.parametrize(("system", "said"), [("brief", "brief"), ([text("a"), text("b")], "a\nb"), ([], "")])
def test_the_system_prompt_is_the_first_message(system: Any, said: str) -> None:
    assert translated([user(text("hi"))], system)[0] == {"role": "system", "content": said}


def test_the_arguments_of_a_call_are_the_bytes_the_caller_wrote() -> None:
    messages = b'[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":{"a" : 1.50}}]}]'
    (message,) = messages_blocks.translate(None, msgspec.Raw(messages))
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a" : 1.50}'


DOCUMENT = {"type": "document", "source": {"type": "text", "data": "x"}}


@pytest.mark.parametrize(
    ("messages", "place", "says"),
    [
        ([user(text("a")), user(text("b"), DOCUMENT)], "messages[1].content[1]", "block of type document"),
        ([assistant(DOCUMENT)], "messages[0].content[0]", "block of type document"),
        ([assistant(PNG)], "messages[0].content[0]", "block of type image"),
        ([user(CALL)], "messages[0].content[0]", "block of type tool_use"),
        ([user({"type": "thinking"})], "messages[0].content[0]", "block of type thinking"),
        ([user(result([text("a"), DOCUMENT]))], "messages[0].content[0].content[1]", "block of type document"),
        ([{"role": "system", "content": [PNG]}], "messages[0].content[0]", "block of type image"),
        ([user({"type": "x" * 200 + "\n"})], "messages[0].content[0]", "…"),
        ([user({"text": "a"})], "messages[0].content[0]", "missing required field `type`"),
        ([user("a")], "messages[0].content[0]", "expected `object`"),
        ([user({"type": "text"})], "messages[0].content[0].text", "must be a string"),
        ([user({"type": "text", "text": 5})], "messages[0].content[0].text", "must be a string"),
        ([user(result(5))], "messages[0].content[0].content", "expected `str | array`"),
        ([user({"type": "tool_result"})], "messages[0].content[0].tool_use_id", "must be a string"),
        ([user(result("x", is_error="yes"))], "messages[0].content[0].is_error", "expected `bool"),
        ([user({"type": "image"})], "messages[0].content[0].source", "must be an object"),
        ([user({"type": "image", "source": {"type": "file"}})], "messages[0].content[0].source", "of type file"),
        ([user({"type": "image", "source": {"type": "url"}})], "messages[0].content[0].source.url", "a string"),
        ([user({"type": "image", "source": {"type": "base64"}})], "messages[0].content[0].source.media_type", "a str"),
        ([assistant({**CALL, "input": "x"})], "messages[0].content[0].input", "expected `object`"),
        ([assistant({**CALL, "input": None})], "messages[0].content[0].input", "expected `object`"),
        ([assistant({**CALL, "id": 5})], "messages[0].content[0].id", "a string"),
        ([assistant({**CALL, "name": None})], "messages[0].content[0].name", "a string"),
        ([{"role": "robot", "content": "x"}], "messages[0].role", "user, assistant or system"),
        ([{"role": "user"}], "messages[0]", "missing required field `content`"),
        ([{"role": "user", "content": None}], "messages[0].content", "expected `str | array`"),
        (["hi"], "messages[0]", "expected `object`"),
        ({"role": "user"}, "messages", "expected `array`"),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_type_and_place(messages: Any, place: str, says: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        translated(messages)
    assert refused.value.param == place
    assert place in refused.value.message
    assert says in refused.value.message


def test_a_system_prompt_that_is_no_text_is_refused_too() -> None:
    with pytest.raises(InvalidRequest, match=r"system\[0\]: a block of type image"):
        translated([user(text("a"))], [PNG])


def test_text_that_is_not_utf8_is_refused_where_it_must_be_read() -> None:
    broken = b'[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":{"a":"\xff"}}]}]'
    with pytest.raises(InvalidRequest, match="input must be UTF-8"):
        messages_blocks.translate(None, msgspec.Raw(broken))


@pytest.mark.parametrize(
    "many",
    [
        [{"role": "user", "content": [text("")] * 100}] * (messages_blocks.MAX_PIECES // 100),
        [user(result([text("")] * messages_blocks.MAX_PIECES))],
        [{"role": "user", "content": ""}] * (messages_blocks.MAX_PIECES + 1),
    ],
    ids=["blocks", "in a result", "messages"],
)
def test_more_pieces_than_a_worker_can_walk_in_no_time_are_refused(many: Any) -> None:
    with pytest.raises(InvalidRequest, match="at most 20000"):
        translated(many)

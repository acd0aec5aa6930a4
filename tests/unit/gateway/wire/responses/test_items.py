"""The input of a Responses request as the messages of a chat."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.wire.responses import items as responses_items

CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "f",
    "arguments": '{"a":1}',
    "status": "completed",
}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "42"}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}


def messages(said: Any, instructions: Any = None) -> Any:
    found = responses_items.messages(*(msgspec.Raw(json.dumps(value).encode()) for value in (instructions, said)))
    return json.loads(msgspec.json.encode(found))


def test_a_text_is_what_the_user_says_after_the_instructions() -> None:
    assert messages("hi", "be brief") == [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "hi"},
    ]


def test_a_text_keeps_its_bytes() -> None:
    written = msgspec.Raw(b'"\\u00e9 \\/ \xc3\xa9"')
    (found,) = responses_items.messages(msgspec.Raw(b"null"), written)
    assert msgspec.json.encode(found) == b'{"role":"user","content":' + bytes(written) + b"}"


@pytest.mark.parametrize(
    ("role", "chats"), [("user", "user"), ("assistant", "assistant"), ("system", "system"), ("developer", "system")]
)
@pytest.mark.parametrize("kind", [{}, {"type": "message"}])
def test_messages_keep_their_roles(role: str, chats: str, kind: Any) -> None:
    assert messages([{"role": role, "content": "hi", **kind}]) == [{"role": chats, "content": "hi"}]


def test_a_single_text_is_a_string_and_more_are_parts() -> None:
    text = {"type": "input_text", "text": "a"}
    assert messages([{"role": "user", "content": [text]}])[0]["content"] == "a"
    assert messages([{"role": "user", "content": [text, text]}])[0]["content"] == [{"type": "text", "text": "a"}] * 2


def test_images_files_and_sounds_are_chats_parts() -> None:
    content = [
        {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
        {"type": "input_image", "image_url": "https://x/y.png"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
    ]
    assert messages([{"role": "user", "content": content}])[0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA", "filename": "a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},
    ]


def test_an_answer_comes_back_as_it_was_given() -> None:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    told = {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}],
    }
    refused = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}
    assert messages([thought, told, CALL, {**CALL, "call_id": "c2"}, OUTPUT, refused]) == [
        {"role": "assistant", "content": "I look.", "tool_calls": [CHAT_CALL, {**CHAT_CALL, "id": "c2"}]},
        {"role": "tool", "content": "42", "tool_call_id": "c1"},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ]


def test_a_call_without_words_before_it_is_a_message_of_its_own() -> None:
    assert messages([{"role": "user", "content": "hi"}, CALL]) == [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
    ]


def test_the_output_of_a_function_may_be_a_list_of_texts() -> None:
    assert messages([{**OUTPUT, "output": [{"type": "input_text", "text": "a"}]}])[0]["content"] == "a"


@pytest.mark.parametrize(
    ("item", "param"),
    [
        (5, "input[1]"),
        ({}, "input[1]"),
        ({"type": "web_search_call", "id": "x"}, "input[1]"),
        ({"type": "item_reference", "id": "x"}, "input[1]"),
        ({"role": "tool", "content": "x"}, "input[1].role"),
        ({"type": "message", "content": "x"}, "input[1].role"),
        ({"role": "user"}, "input[1].content"),
        ({"role": "user", "content": [5]}, "input[1].content[0]"),
        ({"role": "user", "content": [{"text": "x"}]}, "input[1].content[0]"),
        ({"role": "user", "content": [{"type": "input_text", "text": 5}]}, "input[1].content[0].text"),
        ({"role": "user", "content": [{"type": "input_image", "file_id": "x"}]}, "input[1].content[0]"),
        ({"role": "user", "content": [{"type": "input_file", "file_url": "x"}]}, "input[1].content[0]"),
        ({"role": "user", "content": [{"type": "computer_screenshot"}]}, "input[1].content[0]"),
        ({**CALL, "call_id": ""}, "input[1].call_id"),
        ({**CALL, "name": None}, "input[1].name"),
        ({**CALL, "arguments": {}}, "input[1].arguments"),
        ({**OUTPUT, "call_id": None}, "input[1].call_id"),
        ({**OUTPUT, "output": 5}, "input[1].output"),
        ({**OUTPUT, "output": [{"type": "input_image", "image_url": "x"}]}, "input[1].output[0]"),
    ],
)
def test_what_a_chat_cannot_hold_is_refused_by_its_place(item: Any, param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        messages([{"role": "user", "content": "hi"}, item])
    assert refused.value.param == param
    assert param in refused.value.message


@pytest.mark.parametrize("thought", [[], [{"type": "reasoning", "id": "rs_1"}]])
def test_an_input_that_says_nothing_is_refused(thought: Any) -> None:
    with pytest.raises(InvalidRequest, match="nothing to answer"):
        messages(thought)

"""A whole message with other words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message

from gateway.errors import UpstreamProtocol
from gateway.wire.edits import OUTPUT, TOOL_CALL, Outcome
from gateway.wire.messages.answer_texts import MessageTexts
from tests.support.wire_samples import SAMPLES

CONTENT: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "Hm.", "signature": "s"},
    {"type": "redacted_thinking", "data": "sealed"},
    {"type": "text", "text": "Looking.", "citations": None},
    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "Oslo"}},
    {"type": "tool_use", "id": "t2", "name": "go", "input": {}},
]
MESSAGE = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "model": "a",
    "content": CONTENT,
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 5, "output_tokens": 7},
}


def said(*outcomes: Outcome) -> Any:
    answer = MessageTexts(json.dumps(MESSAGE).encode())
    assert len(outcomes) == len(answer.parts)
    message = json.loads(answer.said(outcomes))
    assert Message.model_validate(message).usage.output_tokens == 7
    return message


def test_every_text_is_a_part() -> None:
    found = [
        (part.place, part.phase, part.text, part.is_json, part.tool)
        for part in MessageTexts(json.dumps(MESSAGE).encode()).parts
    ]
    assert found == [
        ("content[0].thinking", OUTPUT, "Hm.", False, ""),
        ("content[2].text", OUTPUT, "Looking.", False, ""),
        ("content[3].input", TOOL_CALL, '{"at":"Oslo"}', True, "look"),
        ("content[4].input", TOOL_CALL, "{}", True, "go"),
    ]


def test_texts_that_are_given_back_leave_the_message_as_it_was() -> None:
    message = said(*(Outcome(text) for text in ("Hm.", "Looking.", '{"at":"Oslo"}', "{}")))
    assert message == MESSAGE | {"content": [*CONTENT[:2], {"type": "text", "text": "Looking."}, *CONTENT[3:]]}


def test_texts_are_replaced() -> None:
    message = said(Outcome("H"), Outcome("L"), Outcome('{"at":"[CITY]"}'), Outcome("{}"))
    assert [block.get("thinking", block.get("text", block.get("input"))) for block in message["content"]] == [
        "H",
        None,
        "L",
        {"at": "[CITY]"},
        {},
    ]
    assert message["content"][0]["signature"] == ""
    assert message["stop_reason"] == "tool_use"


def test_nothing_is_left_behind_a_text_that_was_blocked() -> None:
    message = said(Outcome("Hm."), Outcome("Loo", blocked=True), Outcome("{}"), Outcome("{}"))
    assert message["content"] == [*CONTENT[:2], {"type": "text", "text": "Loo"}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("refusal", None)


@pytest.mark.parametrize("outcome", [Outcome('{"at":', blocked=True), Outcome("{}", blocked=True), Outcome("no JSON")])
def test_a_call_that_was_blocked_or_is_none_any_more_is_left_out(outcome: Outcome) -> None:
    message = said(Outcome("Hm."), Outcome("Looking."), outcome, Outcome("{}"))
    assert [block["type"] for block in message["content"]] == ["thinking", "redacted_thinking", "text"]
    assert message["stop_reason"] == "refusal"


def test_thinking_that_was_cut_off_has_no_signature() -> None:
    message = said(Outcome("Hm.", blocked=True), Outcome(""), Outcome("{}"), Outcome("{}"))
    assert message["content"] == [{"type": "thinking", "thinking": "Hm.", "signature": ""}]


@pytest.mark.parametrize("name", ["llama_cpp/messages.json", "llama_cpp/messages_tool.json", "vllm/messages.json"])
def test_what_real_servers_answer_comes_back_the_same(name: str) -> None:
    body = (SAMPLES / name).read_bytes()
    answer = MessageTexts(body)
    assert answer.parts
    assert json.loads(answer.said([Outcome(part.text) for part in answer.parts])) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"content":"x"}', b'{"content":["x"]}', b'{"content":[{"type":"text","text":5}]}'],
)
def test_what_is_no_message_is_the_backends_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        MessageTexts(body)

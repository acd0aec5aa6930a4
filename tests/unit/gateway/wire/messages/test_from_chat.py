"""A whole answer of chat completions as an Anthropic message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import UpstreamProtocol
from gateway.wire.messages import codec as messages
from gateway.wire.messages import from_chat as chat_to_messages
from tests.support.wire_samples import SAMPLES

CALL = messages.parse(b'{"model":"alias","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}')
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 3}}


def tool(arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"id": "t1", "type": "function", "function": {"name": "weather", "arguments": arguments}, **more}


def answer(message: dict[str, Any], finish_reason: str | None = "stop", **choice: Any) -> Any:
    said = {"index": 0, "message": message, "finish_reason": finish_reason, **choice}
    body = {"id": "c1", "model": "served", "choices": [said], "usage": USAGE}
    return json.loads(chat_to_messages.answer(json.dumps(body).encode(), CALL))


def test_a_text_is_one_block() -> None:
    assert answer({"role": "assistant", "content": "hello", "tool_calls": []}) == {
        "id": "c1",
        "type": "message",
        "role": "assistant",
        "model": "served",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 6,
            "cache_read_input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "output_tokens": 4,
        },
    }


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
def test_reasoning_text_and_calls_come_in_this_order(name: str) -> None:
    found = answer({name: "hm", "content": "so", "tool_calls": [tool('{"a": [1.50]}')]}, "tool_calls")
    assert found["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "so"},
        {"type": "tool_use", "id": "t1", "name": "weather", "input": {"a": [1.5]}},
    ]
    assert found["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("finish", "stop", "reason", "sequence"),
    [
        ("stop", None, "end_turn", None),
        ("stop", "END", "stop_sequence", "END"),
        ("stop", 2, "end_turn", None),
        ("length", "END", "max_tokens", None),
        ("content_filter", None, "refusal", None),
        ("tool_calls", None, "tool_use", None),
        ("function_call", None, "tool_use", None),
        ("abort", None, "end_turn", None),
        (None, None, "end_turn", None),
    ],
)
def test_why_an_answer_ended(finish: str | None, stop: Any, reason: str, sequence: str | None) -> None:
    found = answer({"content": "x"}, finish, stop_reason=stop)
    assert (found["stop_reason"], found["stop_sequence"]) == (reason, sequence)


def test_a_forced_call_that_ends_with_stop_is_a_tool_use() -> None:
    assert answer({"tool_calls": [tool()]}, "stop", stop_reason="END")["stop_reason"] == "tool_use"


def test_words_of_a_refusal_are_text() -> None:
    found = answer({"content": None, "refusal": "I will not."}, "content_filter")
    assert found["content"] == [{"type": "text", "text": "I will not."}]
    assert found["stop_reason"] == "refusal"


def test_an_answer_without_words_has_no_blocks() -> None:
    assert answer({"content": ""})["content"] == []


def test_a_call_without_arguments_has_an_empty_input_and_one_without_an_id_gets_one() -> None:
    (block,) = answer({"tool_calls": [tool("", id=None)]})["content"]
    assert (block["input"], block["id"]) == ({}, "c1_0")


@pytest.mark.parametrize("arguments", ["{", "[]", "5", "null", '{"a":1} {"b":2}'])
def test_arguments_that_are_no_object_are_the_backends_failure_unless_the_answer_was_cut(arguments: str) -> None:
    with pytest.raises(UpstreamProtocol, match="not a JSON object"):
        answer({"tool_calls": [tool(arguments)]}, "tool_calls")
    (block,) = answer({"tool_calls": [tool(arguments)]}, "length")["content"]
    assert block["input"] == {}


def test_an_answer_that_says_no_usage_states_zeros_and_the_alias() -> None:
    body = b'{"choices":[{"message":{"content":"x"}}]}'
    found = json.loads(chat_to_messages.answer(body, CALL))
    assert set(found["usage"].values()) == {0}
    assert (found["id"], found["model"]) == ("msg", "alias")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{}]}', b'{"choices":[{"message":{"content":[]}}]}']
)
def test_what_is_no_chat_answer_is_the_backends_failure(body: bytes) -> None:
    with pytest.raises(UpstreamProtocol, match="the backend's answer"):
        chat_to_messages.answer(body, CALL)


@pytest.mark.parametrize("sample", ["vllm/chat", "vllm/chat_logprobs", "llama_cpp/chat", "llama_cpp/chat_tool"])
def test_what_real_servers_answered_is_kept(sample: str) -> None:
    sent = (SAMPLES / f"{sample}.json").read_bytes()
    found = json.loads(chat_to_messages.answer(sent, CALL))
    assert found["content"] == [{"type": "text", "text": json.loads(sent)["choices"][0]["message"]["content"]}]
    assert found["stop_reason"] in ("max_tokens", "end_turn")
    assert found["usage"]["output_tokens"] == json.loads(sent)["usage"]["completion_tokens"]


def test_a_count_is_vllms_count() -> None:
    assert json.loads(chat_to_messages.count(b'{"count":12,"max_model_len":9,"tokens":[1]}', CALL)) == {
        "input_tokens": 12
    }
    with pytest.raises(UpstreamProtocol, match="does not count"):
        chat_to_messages.count(b'{"tokens":[]}', CALL)

"""Whole chat answers, edited."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from gateway.errors import UpstreamProtocol
from gateway.wire.chat_answer import ChatAnswer
from gateway.wire.edits import OUTPUT, TOOL_CALL, Outcome
from tests.support.choices import Read, whole
from tests.support.wire_samples import SAMPLES

CALLS = [
    {
        "id": "1",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
        "extra_content": {"google": {"thought_signature": "s"}},
    },
    {"id": "2", "type": "custom", "custom": {"name": "g", "input": "x"}},
]
MESSAGE = {
    "role": "assistant",
    "reasoning_content": "r",
    "reasoning": "r",
    "content": "c",
    "refusal": "no",
    "tool_calls": CALLS,
    "function_call": {"name": "h", "arguments": "[]"},
    "annotations": [],
}


def body(*messages: dict[str, Any], **members: Any) -> bytes:
    told = [{"index": at, "message": each, "finish_reason": "stop"} for at, each in enumerate(messages)]
    return json.dumps({"id": "c1", "choices": told, **members}).encode()


def test_the_texts_come_in_the_order_in_which_they_are_said() -> None:
    parts = ChatAnswer(body(MESSAGE, {"content": "x"})).parts
    assert [(part.place, part.phase, part.text, part.is_json, part.tool, part.choice) for part in parts] == [
        ("choices[0].message.reasoning_content", OUTPUT, "r", False, "", 0),
        ("choices[0].message.content", OUTPUT, "c", False, "", 0),
        ("choices[0].message.refusal", OUTPUT, "no", False, "", 0),
        ("choices[0].message.tool_calls[0].function.arguments", TOOL_CALL, "{}", True, "f", 0),
        ("choices[0].message.tool_calls[1].custom.input", TOOL_CALL, "x", False, "g", 0),
        ("choices[0].message.function_call.arguments", TOOL_CALL, "[]", True, "h", 0),
        ("choices[1].message.content", OUTPUT, "x", False, "", 1),
    ]


def test_an_answer_whose_texts_stay_says_the_same() -> None:
    answer = ChatAnswer(body(MESSAGE, usage={"prompt_tokens": 1}, lockgate={"cost": "0"}))
    said = json.loads(answer.said([Outcome(part.text) for part in answer.parts]))
    assert said.pop("choices") == [{"index": 0, "message": MESSAGE, "finish_reason": "stop", "logprobs": None}]
    assert said == {"id": "c1", "usage": {"prompt_tokens": 1}, "lockgate": {"cost": "0"}}


def test_every_text_is_replaced_under_all_its_names() -> None:
    answer = ChatAnswer(body(MESSAGE))
    message = json.loads(answer.said([Outcome(str(at)) for at in range(6)]))["choices"][0]["message"]
    assert (message["reasoning_content"], message["reasoning"], message["content"]) == ("0", "0", "1")
    assert message["refusal"] == "2"
    assert message["tool_calls"][0] == {**CALLS[0], "function": {"name": "f", "arguments": "3"}}
    assert message["tool_calls"][1]["custom"] == {"name": "g", "input": "4"}
    assert message["function_call"] == {"name": "h", "arguments": "5"}


@pytest.mark.parametrize("at", range(6))
def test_nothing_of_a_choice_is_left_behind_a_block(at: int) -> None:
    answer = ChatAnswer(body(MESSAGE, {"content": "x"}))
    outcomes = [Outcome(part.text) for part in answer.parts]
    outcomes[at] = Outcome("begun", blocked=True)
    first, second = json.loads(answer.said(outcomes))["choices"]
    message = first["message"]
    texts = ["r", "c", "no"][:at] + ["begun"] * (at < 3) + ["", "", ""]
    assert [message["reasoning"], message["content"], message["refusal"]] == texts[:3]
    assert message.get("tool_calls", []) == CALLS[: max(0, at - 3)]
    assert "function_call" not in message
    assert (first["finish_reason"], second["finish_reason"]) == ("content_filter", "stop")
    assert second["message"]["content"] == "x"


@pytest.mark.parametrize("server", ["vllm", "llama_cpp"])
@pytest.mark.parametrize("name", ["chat", "chat_tool", "chat_logprobs"])
def test_what_real_servers_sent_says_the_same_afterwards_without_logprobs(server: str, name: str) -> None:
    sent = (SAMPLES / server / f"{name}.json").read_bytes()
    answer = ChatAnswer(sent)
    said = answer.said([Outcome(part.text) for part in answer.parts])
    assert whole(said) == whole(sent)
    assert ChatCompletion.model_validate_json(said).choices[0].logprobs is None
    assert json.loads(said)["usage"] == json.loads(sent)["usage"]


def test_nothing_tells_a_text_once_more() -> None:
    message = {"content": "secret", "content_blocks": [{"text": "secret"}], "audio": {"transcript": "secret"}}
    answer = ChatAnswer(
        body({**message, "thinking_blocks": [{"thinking": "secret"}]}, prompt_text="secret", token_ids=[1])
    )
    said = answer.said([Outcome("a")])
    assert b"secret" not in said
    assert b"token_ids" not in said
    assert whole(said)[0] == Read({"content": "a"}, [], "stop")


@pytest.mark.parametrize(
    "sent",
    [
        *(b"", b"{", b"[]", b"{}", b'{"choices":{}}', b'{"choices":[1]}', b'{"choices":[{"message":"a"}]}'),
        *(b'{"choices":[{"message":{"content":["a"]}}]}', b'{"choices":[{"index":"0"}]}'),
        *(
            b'{"choices":[{"message":{"tool_calls":[1]}}]}',
            b'{"choices":[{"message":{"tool_calls":[{"function":1}]}}]}',
        ),
        b'{"choices":[{"message":{"tool_calls":[{"function":{"arguments":{}}}]}}]}',
    ],
)
def test_an_answer_that_cannot_be_read_is_refused(sent: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        ChatAnswer(sent)


def test_outcomes_that_are_too_few_or_too_many_are_an_error() -> None:
    answer = ChatAnswer(body({"content": "x"}))
    for outcomes in ([], [Outcome("a")] * 2):
        with pytest.raises(ValueError, match="outcomes for 1 parts"):
            answer.said(outcomes)

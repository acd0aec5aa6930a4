"""A whole Response with other words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response

from gateway.errors import UpstreamProtocol
from gateway.wire.edits import OUTPUT, TOOL_CALL, Outcome
from gateway.wire.responses.answer_texts import ResponseTexts
from tests.support.wire_samples import SAMPLES

THOUGHT = {
    "id": "rs",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Hm."}],
    "content": [{"type": "reasoning_text", "text": "Well."}],
    "encrypted_content": "sealed",
}
PART = {"type": "output_text", "text": "Looking.", "annotations": [], "logprobs": []}
MESSAGE = {
    "id": "ms",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [PART, {"type": "refusal", "refusal": "No."}],
}
CALL = {"id": "fc", "type": "function_call", "call_id": "c", "name": "look", "arguments": "{}", "status": "completed"}
FOUND = {"id": "ws", "type": "web_search_call", "status": "completed", "action": {"query": "x"}}
OUTPUT_ITEMS: list[dict[str, Any]] = [THOUGHT, MESSAGE, CALL, FOUND]
WORDS = ["Hm.", "Well.", "Looking.", "No.", "{}", '{"action":{"query":"x"}}']


def response(output: Any) -> dict[str, Any]:
    return {
        "id": "r",
        "object": "response",
        "created_at": 5,
        "model": "m",
        "status": "completed",
        "incomplete_details": None,
        "output": output,
        "output_text": "Looking.",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def said(*outcomes: Outcome, output: list[dict[str, Any]] = OUTPUT_ITEMS) -> Any:
    answer = ResponseTexts(json.dumps(response(output)).encode())
    assert len(outcomes) == len(answer.parts)
    return json.loads(answer.said(outcomes))


def test_every_text_is_a_part() -> None:
    answer = ResponseTexts(json.dumps(response(OUTPUT_ITEMS)).encode())
    assert [part.text for part in answer.parts] == WORDS
    assert [(part.place, part.phase, part.is_json, part.tool) for part in answer.parts] == [
        ("output[0].summary[0].text", OUTPUT, False, ""),
        ("output[0].content[0].text", OUTPUT, False, ""),
        ("output[1].content[0].text", OUTPUT, False, ""),
        ("output[1].content[1].refusal", OUTPUT, False, ""),
        ("output[2].arguments", TOOL_CALL, True, "look"),
        ("output[3]", OUTPUT, True, ""),
    ]


def test_texts_that_are_given_back_leave_the_response_as_it_was() -> None:
    assert said(*map(Outcome, WORDS)) == response(OUTPUT_ITEMS)


def test_texts_are_replaced_in_all_places() -> None:
    answer = said(*map(Outcome, ["A", "B", "C", "D", '{"e":1}', '{"action":{"query":"F"}}']))
    thought, message, call, found = answer["output"]
    assert (thought["summary"][0]["text"], thought["content"][0]["text"]) == ("A", "B")
    assert (message["content"][0]["text"], message["content"][1]["refusal"]) == ("C", "D")
    assert (call["arguments"], found["action"]) == ('{"e":1}', {"query": "F"})
    assert (answer["output_text"], answer["status"]) == ("C", "completed")
    assert Response.construct(**answer).output_text == "C"


@pytest.mark.parametrize(
    ("text", "kept"), [("Loo", [{**MESSAGE, "status": "incomplete", "content": [{**PART, "text": "Loo"}]}]), ("", [])]
)
def test_nothing_is_left_behind_a_text_that_was_blocked(text: str, kept: list[Any]) -> None:
    answer = said(Outcome("Hm."), Outcome("Well."), Outcome(text, blocked=True), *map(Outcome, WORDS[3:]))
    assert answer["output"] == [THOUGHT, *kept]
    assert (answer["status"], answer["incomplete_details"]) == ("incomplete", {"reason": "content_filter"})
    assert answer["output_text"] == text


def test_a_part_that_was_judged_stays_when_the_next_is_blocked() -> None:
    answer = said(Outcome("Hm."), Outcome("Well."), Outcome("L"), Outcome("", blocked=True), *map(Outcome, WORDS[4:]))
    assert answer["output"][-1] == {**MESSAGE, "status": "incomplete", "content": [{**PART, "text": "L"}]}


@pytest.mark.parametrize(
    ("outcomes", "left"),
    [([Outcome('{"a":', blocked=True), Outcome("{}")], 2), ([Outcome("{}"), Outcome("no JSON")], 3)],
)
def test_an_item_that_was_blocked_or_is_no_document_any_more_is_left_out(outcomes: list[Outcome], left: int) -> None:
    answer = said(*map(Outcome, WORDS[:4]), *outcomes)
    assert len(answer["output"]) == left
    assert answer["status"] == "incomplete"


def test_what_no_check_reads_is_left_out() -> None:
    quoting = {**PART, "annotations": [{"title": "secret"}], "logprobs": [{"token": "secret"}]}
    audio = {"type": "output_audio", "transcript": "secret"}
    message = {**MESSAGE, "content": [quoting, audio], "note": "secret"}
    answer = said(Outcome("Looking."), output=[message])
    assert answer["output"] == [{**MESSAGE, "content": [PART]}]


@pytest.mark.parametrize("name", ["vllm/responses.json", "vllm/responses_tool.json"])
def test_what_real_servers_answer_keeps_its_words(name: str) -> None:
    sent = json.loads((SAMPLES / name).read_bytes())
    answer = ResponseTexts(json.dumps(sent).encode())
    told = json.loads(answer.said([Outcome(part.text) for part in answer.parts]))
    for item in sent["output"]:
        for part in item.get("content", ()):
            part["logprobs"] = []
    assert told == sent


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"output":"x"}',
        b'{"output":["x"]}',
        b'{"output":[{"type":"message","content":"x"}]}',
        b'{"output":[{"type":"function_call","arguments":{}}]}',
    ],
)
def test_what_is_no_response_is_the_backends_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        ResponseTexts(body)

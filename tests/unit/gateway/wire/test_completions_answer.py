"""Whole answers to completions, edited."""

from __future__ import annotations

import json

import pytest
from openai.types import Completion

from gateway.errors import UpstreamProtocol
from gateway.wire.completions_answer import CompletionsAnswer
from gateway.wire.edits import OUTPUT, Outcome
from tests.support.choices import Read, whole
from tests.support.wire_samples import SAMPLES

BODY = b'{"choices":[{"index":0,"text":"a","finish_reason":"stop"},{"index":1,"text":"b","finish_reason":"length"}]}'


def test_the_text_of_each_choice_is_a_part() -> None:
    parts = CompletionsAnswer(BODY).parts
    assert [(part.place, part.phase, part.text, part.choice) for part in parts] == [
        ("choices[0].text", OUTPUT, "a", 0),
        ("choices[1].text", OUTPUT, "b", 1),
    ]


def test_a_block_ends_its_choice_only() -> None:
    said = CompletionsAnswer(BODY).said([Outcome("x", blocked=True), Outcome("y")])
    assert whole(said) == {0: Read({"text": "x"}, [], "content_filter"), 1: Read({"text": "y"}, [], "length")}


@pytest.mark.parametrize("server", ["vllm", "llama_cpp"])
@pytest.mark.parametrize("name", ["completion", "completion_tokens"])
def test_what_real_servers_sent_says_the_same_afterwards_without_logprobs(server: str, name: str) -> None:
    sent = (SAMPLES / server / f"{name}.json").read_bytes()
    answer = CompletionsAnswer(sent)
    said = answer.said([Outcome(part.text) for part in answer.parts])
    assert whole(said) == whole(sent)
    assert Completion.model_validate_json(said).choices[0].logprobs is None


def test_a_choice_without_text_has_no_part_and_stays() -> None:
    said = CompletionsAnswer(b'{"choices":[{"index":0,"text":"","finish_reason":"stop"}]}').said([])
    assert json.loads(said)["choices"] == [{"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"}]


@pytest.mark.parametrize("sent", [b"{", b"{}", b'{"choices":[{"text":["a"]}]}'])
def test_an_answer_that_cannot_be_read_is_refused(sent: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        CompletionsAnswer(sent)

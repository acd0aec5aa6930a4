"""The comparison sees what it is there to see: what real servers sent, with one thing changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from tests.contract.compare import disagreements
from tests.contract.results import joined
from tests.support.wire_samples import SAMPLES

Frames = list[dict[str, Any]]


def frames(sample: str) -> Frames:
    """The frames of a recorded stream, but for `[DONE]`."""
    lines = (SAMPLES / f"{sample}.sse").read_text().splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: {")]


def as_result(sent: Frames) -> Any:
    """What a case would make of it."""
    return joined(ChatCompletionChunk.model_validate(frame) for frame in sent)


def lose_a_frame(sent: Frames) -> Frames:
    return [frame for index, frame in enumerate(sent) if index != 2]


def repeat_a_frame(sent: Frames) -> Frames:
    return [*sent[:3], *sent[2:]]


def lose_usage(sent: Frames) -> Frames:
    return [frame for frame in sent if frame["choices"]]


def leave_the_usage_frame_without_usage(sent: Frames) -> Frames:
    return [frame if frame["choices"] else {**frame, "usage": None} for frame in sent]


def name_another_model(sent: Frames) -> Frames:
    return [{**frame, "model": "another"} for frame in sent]


def swap_choices(sent: Frames) -> Frames:
    return [{**frame, "choices": [{**each, "index": 1 - each["index"]} for each in frame["choices"]]} for frame in sent]


@pytest.mark.parametrize(
    ("sample", "change"),
    [
        ("vllm/chat_stream_usage", lose_a_frame),
        ("vllm/chat_stream_usage", repeat_a_frame),
        ("vllm/chat_stream_usage", lose_usage),
        ("vllm/chat_stream_usage", leave_the_usage_frame_without_usage),
        ("vllm/chat_stream_usage", name_another_model),
        ("vllm/chat_stream_n_logprobs", swap_choices),
        ("vllm/chat_stream_tool", lose_a_frame),
        ("llama_cpp/chat_stream_usage", lose_a_frame),
    ],
)
def test_a_changed_stream_is_seen(sample: str, change: Callable[[Frames], Frames]) -> None:
    sent = frames(sample)
    assert disagreements(as_result(sent), as_result(change(sent)))


@pytest.mark.parametrize("sample", ["vllm/chat_stream_usage", "vllm/chat_stream_tool", "llama_cpp/chat_stream_tool"])
def test_ids_and_clocks_are_no_difference(sample: str) -> None:
    sent = frames(sample)
    again = [{**frame, "id": "another", "created": 1} for frame in sent]
    assert disagreements(as_result(sent), as_result(again)) == []


def test_two_tokens_in_one_frame_are_no_difference() -> None:
    sent = frames("vllm/chat_stream_usage")
    merged = json.loads(json.dumps(sent))
    merged[2]["choices"][0]["delta"]["content"] += merged[3]["choices"][0]["delta"]["content"]
    del merged[3]
    assert disagreements(as_result(sent), as_result(merged)) == []


def test_numbers_may_differ_by_rounding_but_counts_may_not() -> None:
    assert disagreements({"logprob": -1.234}, {"logprob": -1.235}) == []
    assert disagreements({"logprob": -1.2}, {"logprob": -1.5}) == ["logprob: -1.2 ≠ -1.5"]
    assert disagreements({"prompt_tokens": 15}, {"prompt_tokens": 16}) == ["prompt_tokens: 15 ≠ 16"]
    assert disagreements({"id_": True}, {"id_": 1}) == ["id_: True ≠ 1"]


def test_a_servers_failure_must_come_through_as_the_gateways() -> None:
    failed = {"raised": "InternalServerError", "status": 500, "body": {"message": "no mmproj"}}
    ours = {"raised": "InternalServerError", "status": 502, "body": {"message": "…", "type": "upstream_error"}}
    assert disagreements(failed, ours) == []
    assert disagreements(failed, failed)
    assert disagreements(failed, {"choices": []})


def test_a_refusal_must_come_through_as_it_was() -> None:
    refused = {"raised": "BadRequestError", "status": 400, "body": {"message": "too hot", "code": 400}}
    assert disagreements(refused, refused) == []
    assert disagreements(refused, {**refused, "body": {"message": "too hot", "code": "invalid_request"}})

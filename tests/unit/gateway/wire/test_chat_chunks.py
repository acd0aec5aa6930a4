"""What chat backends answer, read into values, from what real servers sent and from what none should."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from gateway.errors import UpstreamProtocol
from gateway.wire import chat_chunks
from gateway.wire.chat_chunks import CallPart, ChunkReader, Head, Said, read_answer
from gateway.wire.usage import Usage
from tests.support.wire_samples import SAMPLES


def frame(delta: Any, finish: str | None = None, **more: Any) -> bytes:
    chunk = {"id": "c1", "created": 5, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def read(stream: bytes, *cuts: int) -> tuple[list[Said], ChunkReader]:
    reader = ChunkReader()
    said = [part for begin, end in pairwise([0, *cuts, len(stream)]) for part in reader.feed(stream[begin:end])]
    return said + reader.finish(), reader


def test_a_whole_answer_is_read_with_its_calls_and_usage() -> None:
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in "fg"]
    message = {"role": "assistant", "content": None, "refusal": None, "reasoning": "hm", "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls", "logprobs": {"content": [{"token": "a"}]}}
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    answer = read_answer(json.dumps({"id": "c1", "created": 5, "choices": [choice], "usage": usage}).encode())
    assert answer.said.calls == [CallPart(0, "f", "f", "{}"), CallPart(1, "g", "g", "{}")]
    assert (answer.said.content, answer.said.thinking, answer.said.finish_reason) == ("", "hm", "tool_calls")
    assert [json.loads(bytes(each)) for each in answer.said.logprobs] == [{"token": "a"}]
    assert (answer.head, answer.usage) == (Head("c1", 5), Usage(7, 0, 3, 0))


@pytest.mark.parametrize("server", ["vllm", "llama_cpp"])
def test_a_stream_says_what_the_whole_answer_says(server: str) -> None:
    whole = read_answer((SAMPLES / server / "chat.json").read_bytes())
    said, reader = read((SAMPLES / server / "chat_stream_usage.sse").read_bytes())
    assert "".join(part.content for part in said) == whole.said.content
    assert [part.finish_reason for part in said if part.finish_reason] == [whole.said.finish_reason]
    assert whole.head.id
    assert (reader.done, reader.error) == (True, None)
    assert whole.usage is not None
    assert reader.usage is not None
    assert reader.usage.output_tokens == whole.usage.output_tokens


def test_no_cut_of_a_real_stream_changes_what_it_says() -> None:
    stream = (SAMPLES / "vllm" / "chat_stream_tool.sse").read_bytes()
    whole, _ = read(stream)
    assert whole
    for cut in range(len(stream)):
        assert read(stream, cut)[0] == whole


def test_only_the_first_choice_is_read() -> None:
    second = b'data: {"choices":[{"index":1,"delta":{"content":"other"}}]}\n\n'
    said, _ = read(frame({"content": "one"}) + second)
    assert [part.content for part in said] == ["one"]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thinking_goes_by_two_names(name: str) -> None:
    assert read(frame({name: "hm"}))[0][0].thinking == "hm"


def test_calls_without_an_index_are_numbered_by_their_ids() -> None:
    deltas: list[Any] = [
        {"tool_calls": [{"id": "a", "function": {"name": "f", "arguments": ""}}]},
        {"tool_calls": [{"function": {"arguments": "{}"}}]},
        {"tool_calls": [{"id": "b", "function": {"name": "g", "arguments": "{}"}}]},
    ]
    said, _ = read(b"".join(map(frame, deltas)))
    assert [call for part in said for call in part.calls] == [
        CallPart(0, "a", "f", ""),
        CallPart(0, None, None, "{}"),
        CallPart(1, "b", "g", "{}"),
    ]


def test_usage_is_the_last_one_stated() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    _, reader = read(frame({}, usage=None) + frame({}, usage=usage) + frame({}, usage=None))
    assert reader.usage == Usage(5, 0, 2, 0)


def test_nothing_is_read_after_done() -> None:
    said, reader = read(frame({"content": "a"}) + b"data: [DONE]\n\n" + frame({"content": "b"}))
    assert ([part.content for part in said], reader.done) == (["a"], True)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ({"message": "engine dead", "code": 500}, "engine dead"),
        ("engine dead", "engine dead"),
        ({"code": 500}, "the backend failed in the middle of its answer"),
    ],
)
def test_an_error_told_in_band_ends_the_reading(error: Any, told: str) -> None:
    said, reader = read(frame({"content": "a"}) + frame({}, error=error) + frame({"content": "b"}))
    assert ([part.content for part in said], reader.error) == (["a"], told)


@pytest.mark.parametrize("payload", [b"hello", b"[]", b'{"choices":5}', b'{"choices":[{"delta":{"content":["a"]}}]}'])
def test_what_is_no_chunk_is_an_error_and_ends_the_reading(payload: bytes) -> None:
    said, reader = read(b"data: " + payload + b"\n\n" + frame({"content": "b"}))
    assert (said, reader.error) == ([], chat_chunks.NO_CHUNK)


def test_a_last_frame_without_its_blank_line_is_read_and_half_a_frame_says_nothing() -> None:
    assert [part.content for part in read(frame({"content": "a"})[:-2])[0]] == ["a"]
    said, reader = read(frame({"content": "a"}) + b'data: {"choices":[{"del')
    assert ([part.content for part in said], reader.error) == (["a"], None)


@pytest.mark.parametrize("cuts", [(), (100,), (chat_chunks.MAX_FRAME_BYTES + 100,)])
def test_a_frame_without_end_is_an_error(cuts: tuple[int, ...]) -> None:
    said, reader = read(frame({"content": "a"}) + b"data: " + b"x" * (chat_chunks.MAX_FRAME_BYTES + 1000), *cuts)
    assert ([part.content for part in said], reader.error) == (["a"], chat_chunks.TOO_LONG)


@pytest.mark.parametrize("created", ["1e300", "-1", "null"])
def test_a_time_that_cannot_be_is_none(created: str) -> None:
    body = b'{"id":null,"created":%b,"choices":[{"message":{"content":"a"}}]}' % created.encode()
    assert read_answer(body).head == Head("", 0)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"choices":[]}', b'{"choices":[{"delta":{}}]}', b"\xff", b"[" * 9999]
)
def test_what_is_no_answer_is_the_backends_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        read_answer(body)


@pytest.mark.parametrize(("stop", "named"), [('"END"', "END"), ("2", None), ("null", None)])
def test_the_string_that_ended_an_answer_and_the_models_name_are_kept(stop: str, named: str | None) -> None:
    choice = f'{{"message":{{"content":"x"}},"finish_reason":"stop","stop_reason":{stop}}}'
    answer = read_answer(f'{{"model":"tiny","choices":[{choice}]}}'.encode())
    assert (answer.head.model, answer.said.stop) == ("tiny", named)

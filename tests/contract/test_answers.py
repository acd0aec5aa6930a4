"""What the answers are, and not only that both ways agree: two servers wrong in the same way would agree too."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.store.journal_read import Tail, directories
from gateway.store.records import Record
from tests.contract import kinds
from tests.contract.asking import chat
from tests.contract.other_cases import complete, embed
from tests.contract.upstreams import Servers

CHATTING = [kinds.of(kind) for kind in ("fake", "llama_cpp", "vllm")]
EMBEDDING = [kinds.of(kind) for kind in ("fake", "minilm", "vllm_embeddings")]
CALLING = [kinds.of(kind) for kind in ("fake", "vllm")]  # SmolLM2 has no way to call a tool


@pytest.mark.parametrize("kind", CHATTING)
def test_a_stream_says_what_the_whole_answer_says(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    whole = servers.result(kind, "chat_plain", through=True)["choices"][0]
    streamed = servers.result(kind, "chat_stream", through=True)["choices"][0]
    assert streamed["content"] == whole["message"]["content"] != ""
    assert streamed["finish_reason"] == whole["finish_reason"]


@pytest.mark.parametrize("kind", CHATTING)
def test_usage_is_in_a_stream_when_asked_for_and_else_hidden(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    asked = servers.result(kind, "chat_stream_with_usage", through=True)
    assert len(asked["usage"]) == 1
    assert asked["usage"][0]["completion_tokens"] > 0
    unasked = "chat_stream", "chat_stream_without_usage_said", "chat_stream_two_choices_without_usage"
    for case in unasked:
        hidden = servers.result(kind, case, through=True)
        assert (hidden["usage"], hidden["frames_without_choices"]) == ([], 0), case


@pytest.mark.parametrize("kind", CHATTING)
def test_a_stream_ends_with_done_once(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    ended = servers.result(kind, "chat_stream_ends_with_done", through=True)
    assert ended == {"content_type": "text/event-stream", "last": "data: [DONE]", "done": 1}


@pytest.mark.parametrize("kind", CHATTING)
def test_an_answer_in_a_schema_fits_it(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    assert servers.result(kind, "chat_json_schema", through=True)["parsed"]["digit"] in (1, 2, 3)


@pytest.mark.parametrize("kind", CALLING)
@pytest.mark.parametrize("case", ["chat_tool_named", "chat_tool_required"])
def test_a_tool_that_must_be_called_is_called(servers: Servers, kind: str, case: str) -> None:
    kinds.require(kind)
    (call,) = servers.result(kind, case, through=True)["choices"][0]["message"]["tool_calls"]
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"])["city"] in ("Oslo", "Rome")


@pytest.mark.parametrize("kind", CALLING)
def test_a_streamed_tool_call_is_the_whole_one(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    (whole,) = servers.result(kind, "chat_tool_named", through=True)["choices"][0]["message"]["tool_calls"]
    streamed = servers.result(kind, "chat_stream_tool", through=True)["choices"][0]["tool_calls"]["0"]
    assert streamed["name"] == whole["function"]["name"]
    assert json.loads(streamed["arguments"]) == json.loads(whole["function"]["arguments"])


@pytest.mark.parametrize("kind", EMBEDDING)
def test_numbers_and_base64_are_the_same_vector(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    (numbers,) = servers.result(kind, "embedding_floats", through=True)["data"]
    (decoded,) = servers.result(kind, "embedding_text", through=True)["data"]
    assert decoded["embedding"] == pytest.approx(numbers["embedding"], abs=1e-6)
    assert isinstance(servers.result(kind, "embedding_base64", through=True)["data"][0]["embedding"], str)


@pytest.mark.parametrize("kind", [kinds.of("vllm")])
@pytest.mark.parametrize(
    "case",
    [
        "refused_temperature",
        "refused_temperature_in_a_stream",
        "refused_type",
        "refused_prompt_too_long",
        "refused_completion",
        "chat_image",
    ],
)
def test_what_vllm_refuses_reaches_the_caller_as_vllm_said_it(servers: Servers, kind: str, case: str) -> None:
    kinds.require(kind)
    refused = servers.result(kind, case, through=True)
    assert (refused["raised"], refused["status"], refused["body"]["code"]) == ("BadRequestError", 400, 400)


@pytest.mark.parametrize("kind", CHATTING)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(("ask", "case"), [(chat, "chat_plain"), (complete, "completion_plain")], ids=["chat", "text"])
def test_the_record_has_the_usage_the_server_counts(
    servers: Servers, kind: str, ask: Callable[..., Any], case: str, stream: bool
) -> None:
    kinds.require(kind)
    counted = servers.result(kind, case, through=False)["usage"]
    pair, ours = servers.pair(kind), f"{ask.__name__}-{stream}"
    with pair.through.client() as client:
        answer = ask(client, pair.through, stream=stream, extra_headers={"x-request-id": ours})
        assert not stream or list(answer)
    (record,) = [record for record in _records(pair.gateway.state_dir) if record.caller_request_id == ours]
    assert _sums(record) == (counted["prompt_tokens"], counted["completion_tokens"])
    assert (record.status, record.code, record.outcome, record.stream) == (200, "ok", "answered", stream)


@pytest.mark.parametrize("kind", EMBEDDING)
def test_the_record_has_the_usage_of_embeddings(servers: Servers, kind: str) -> None:
    kinds.require(kind)
    pair = servers.pair(kind)
    with pair.through.client() as client:
        counted = embed(client, pair.through, extra_headers={"x-request-id": "embedding"}).usage
    (record,) = [record for record in _records(pair.gateway.state_dir) if record.caller_request_id == "embedding"]
    assert (record.endpoint, *_sums(record)) == ("embeddings", counted.prompt_tokens, 0)


def _sums(record: Record) -> tuple[int, int]:
    """A record's tokens as OpenAI counts them: those from a cache are input too, and reasoning is output too."""
    parts = record.input_tokens, record.cached_input_tokens, record.output_tokens, record.reasoning_tokens
    fresh, cached, said, thought = (-1 if part is None else part for part in parts)
    return fresh + cached, said + thought


def _records(state_dir: Path) -> list[Record]:
    return [record for directory in directories(state_dir) for record in Tail(directory).drain()]

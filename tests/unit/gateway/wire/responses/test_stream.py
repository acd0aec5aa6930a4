"""A chat answer as a Response, streamed and whole."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.errors import UpstreamProtocol
from gateway.wire import sse
from gateway.wire.responses import codec as responses
from gateway.wire.responses import stream as responses_stream
from gateway.wire.responses.stream import Translation
from gateway.wire.usage import Usage
from tests.support.wire_samples import SAMPLES

CALL = responses.parse(b'{"model":"m","input":"hi","stream":true}')
DONE = b"data: [DONE]\n\n"
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def chunk(finish: str | None = None, usage: Any = None, **delta: Any) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return (
        b"data: %b\n\n" % json.dumps({"id": "chatcmpl-1", "created": 5, "choices": [choice], "usage": usage}).encode()
    )


def call_part(index: int, arguments: str, **more: Any) -> dict[str, Any]:
    return {"index": index, "function": {"arguments": arguments, **({"name": more["id"]} if more else {})}, **more}


def run(*pieces: bytes) -> tuple[bytes, Translation]:
    translation = Translation(CALL)
    return b"".join([translation.feed(piece) for piece in pieces]) + translation.finish(), translation


def events(stream: bytes) -> list[dict[str, Any]]:
    """The events' data, each found to be of the kind its frame names, numbered in order and known to the package."""
    found = []
    for number, frame in enumerate(sse.frames(stream)):
        data = json.loads(sse.data(frame) or b"")
        assert frame.startswith(b"event: %b\n" % data["type"].encode())
        assert data["sequence_number"] == number
        EVENT.validate_python(data, strict=True)
        found.append(data)
    return found


def kinds(found: Iterable[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in found]


def final_of(stream: bytes) -> Any:
    """What the package makes of a stream."""
    state: ResponseStreamState[Any] = ResponseStreamState(input_tools=omit, text_format=omit)
    for data in events(stream):
        state.handle_event(EVENT.validate_python(data))
    return state._completed_response


TEXT = chunk(role="assistant", content="") + chunk(content="hel") + chunk(content="lo")
END = chunk(finish="stop") + chunk(usage={"prompt_tokens": 5, "completion_tokens": 2}) + DONE


def test_a_text_is_told_from_its_beginning_to_its_end() -> None:
    out, translation = run(TEXT + END)
    found = events(out)
    assert kinds(found) == [
        *("created", "in_progress", "output_item.added", "content_part.added"),
        *("output_text.delta", "output_text.delta", "output_text.done"),
        *("content_part.done", "output_item.done", "completed"),
    ]
    assert [event["delta"] for event in found if event["type"].endswith("delta")] == ["hel", "lo"]
    assert found[0]["response"]["output"] == []
    last = found[-1]["response"]
    assert (last["id"], last["status"], last["output"][0]["content"][0]["text"]) == ("resp_1", "completed", "hello")
    assert last["usage"]["total_tokens"] == 7
    assert (translation.usage, translation.failed) == (Usage(5, 0, 2, 0), False)


def test_the_last_event_waits_for_the_backends_end() -> None:
    translation = Translation(CALL)
    passed = translation.feed(TEXT + END)
    assert b"response.completed" not in passed
    assert translation.complete
    assert kinds(events(passed + translation.finish()))[-1] == "completed"


def test_thinking_is_an_item_before_the_text() -> None:
    out, _ = run(chunk(reasoning_content="h") + chunk(reasoning="m") + TEXT + END)
    found = events(out)
    assert kinds(found)[2:9] == [
        *("output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.delta"),
        *("reasoning_text.done", "content_part.done", "output_item.done"),
    ]
    thought, told = found[-1]["response"]["output"]
    assert (thought["type"], thought["content"][0]["text"], told["type"]) == ("reasoning", "hm", "message")


def test_calls_may_be_told_by_turns_and_lose_nothing() -> None:
    parts = [
        call_part(0, "", id="f"),
        call_part(1, '{"x"', id="g"),
        call_part(0, '{"a"'),
        call_part(1, ":1}"),
        call_part(0, ":2}"),
    ]
    out, _ = run(TEXT + b"".join(chunk(tool_calls=[part]) for part in parts) + chunk(finish="tool_calls") + DONE)
    final = final_of(out)
    assert [(item.call_id, item.name, item.arguments) for item in final.output[1:]] == [
        ("f", "f", '{"a":2}'),
        ("g", "g", '{"x":1}'),
    ]
    assert final.output_text == "hello"
    assert kinds(events(out)).count("function_call_arguments.done") == 2


def test_a_refusal_is_a_part_of_its_own() -> None:
    out, _ = run(TEXT + chunk(refusal="no") + END)
    parts = events(out)[-1]["response"]["output"][0]["content"]
    assert [part["type"] for part in parts] == ["output_text", "refusal"]
    assert "refusal.done" in kinds(events(out))


def test_log_probabilities_go_with_their_text() -> None:
    token = {"token": "hi", "logprob": -0.5, "bytes": [104, 105], "top_logprobs": []}
    choice = {"index": 0, "delta": {"content": "hi"}, "logprobs": {"content": [token]}, "finish_reason": "stop"}
    out, _ = run(b"data: " + json.dumps({"id": "1", "choices": [choice]}).encode() + b"\n\n" + DONE)
    found = events(out)
    assert [event["logprobs"] for event in found if "output_text" in event["type"]] == [[token], [token]]
    assert found[-1]["response"]["output"][0]["content"][0]["logprobs"] == [token]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_says_why(finish: str, reason: str) -> None:
    out, _ = run(TEXT + chunk(finish=finish) + DONE)
    found = events(out)
    last = found[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": reason}
    assert last["response"]["output"][0]["status"] == found[-2]["item"]["status"] == "incomplete"


def test_an_answer_that_says_nothing_has_no_items() -> None:
    out, _ = run(END)
    assert kinds(events(out)) == ["created", "in_progress", "completed"]
    assert final_of(out).output == []


@pytest.mark.parametrize("cut", [b"", b'data: {"choices":[{"index":0,"del'])
def test_half_a_stream_ends_with_an_error_and_never_as_if_it_were_whole(cut: bytes) -> None:
    out, translation = run(TEXT + cut)
    assert kinds(events(out))[-1] == "error"
    assert "completed" not in kinds(events(out))
    assert translation.failed


def test_an_error_the_backend_tells_ends_the_stream_once() -> None:
    told = b'data: {"error":{"message":"engine dead"}}\n\n'
    out, translation = run(TEXT + told + told, END)
    found = events(out)
    assert (kinds(found).count("error"), found[-1]["message"]) == (1, "engine dead")
    assert (translation.failed, translation.complete) == (True, True)


@pytest.mark.parametrize(
    ("server", "sample"),
    [
        (server, sample)
        for server in ("vllm", "llama_cpp")
        for sample in ("chat_stream_usage", "chat_stream_tool", "chat_stream_n_logprobs")
    ],
)
def test_real_streams_are_translated_alike_however_they_are_cut(server: str, sample: str) -> None:
    stream = (SAMPLES / server / f"{sample}.sse").read_bytes()
    whole, translation = run(stream)
    assert not translation.failed
    assert events(whole)
    for cut in range(0, len(stream), 7):
        assert run(stream[:cut], stream[cut:])[0] == whole
    assert run(*(stream[at : at + 1] for at in range(len(stream))))[0] == whole


def test_a_whole_answer_is_what_its_stream_ends_with() -> None:
    message = {"role": "assistant", "content": "hello", "tool_calls": [call_part(0, "{}", id="f")]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    body = json.dumps({"id": "chatcmpl-1", "created": 5, "choices": [choice], "usage": usage}).encode()
    whole = json.loads(responses_stream.answer(body, CALL))
    streamed, _ = run(
        TEXT + chunk(tool_calls=[call_part(0, "{}", id="f")]) + chunk(finish="tool_calls", usage=usage) + DONE
    )
    assert whole == events(streamed)[-1]["response"]


def test_what_is_no_chat_answer_is_the_backends_fault() -> None:
    with pytest.raises(UpstreamProtocol):
        responses_stream.answer(b'{"object":"list"}', CALL)

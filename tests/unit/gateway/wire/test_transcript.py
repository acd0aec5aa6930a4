"""What was said reads the same in every format, whole or streamed; and what was cut is no error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import transcript
from gateway.wire.transcript import CODECS

CALL = ("call_1", "weather", {"city": "Oslo"})
TOLD = {"role": "assistant", "reasoning_content": "Hm.", "content": "Let me look."}
CALLED = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
CHAT = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": TOLD | {"tool_calls": [CALLED]}, "finish_reason": "tool_calls"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
ASKS: dict[str, dict[str, Any]] = {
    "chat": {
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": None, "tool_calls": [CALLED]},
            {"role": "tool", "tool_call_id": "call_1", "content": "7 degrees"},
        ]
    },
    "messages": {
        "max_tokens": 50,
        "system": "Be brief",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Weather?", "cache_control": {"type": "ephemeral"}}]},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": "7 degrees"}],
            },
        ],
    },
    "responses": {
        "instructions": "Be brief",
        "input": [
            {"role": "user", "content": "Weather?"},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "7 degrees"},
        ],
    },
}
FORMATS = pytest.mark.parametrize("endpoint", list(ASKS))


def request(endpoint: str, **more: Any) -> bytes:
    return json.dumps({"model": "m", **ASKS[endpoint], **more}).encode()


def chunks() -> bytes:
    """The answer as a chat backend streams it, in pieces that cut the arguments."""
    deltas: list[dict[str, Any]] = [
        *({"role": "assistant"}, {"reasoning_content": "Hm."}, {"content": "Let me "}, {"content": "look."}),
        {"tool_calls": [{"index": 0, **CALLED, "function": {"name": "weather", "arguments": '{"ci'}}]},
        {"tool_calls": [{"index": 0, "function": {"arguments": 'ty": "Oslo"}'}}]},
    ]
    frames = [{"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"} for _ in (*deltas, None)]
    for frame, delta in zip(frames, deltas, strict=False):
        frame["choices"] = [{"index": 0, "delta": delta}]
    frames[-1]["choices"] = [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]
    return b"".join(b"data: %b\n\n" % json.dumps(frame).encode() for frame in frames) + b"data: [DONE]\n\n"


def whole(endpoint: str) -> bytes:
    form, body = CODECS[endpoint].translated, json.dumps(CHAT).encode()
    if form is None or form.answer is None:
        return body
    return form.answer(body, CODECS[endpoint].parse(request(endpoint), b"application/json"))


def streamed(endpoint: str) -> bytes:
    form = CODECS[endpoint].translated
    if form is None or endpoint == "chat":
        return chunks()
    passing = form.relay(CODECS[endpoint].parse(request(endpoint, stream=True), b"application/json"))
    return passing.feed(chunks()) + passing.finish()


@FORMATS
def test_a_request_is_the_same_messages_in_every_format(endpoint: str) -> None:
    asked = transcript.asked(endpoint, request(endpoint))
    assert asked is not None
    assert not asked.continues
    assert [message["role"] for message in asked.messages] == ["system", "user", "assistant", "tool"]
    said = [transcript.text(message) for message in asked.messages]
    assert (said[0], said[1], said[3]) == ("Be brief", "Weather?", "7 degrees")
    ((call_id, name, arguments),) = transcript.calls(asked.messages[2])
    assert (call_id, name, json.loads(arguments)) == CALL
    assert asked.messages[3]["tool_call_id"] == "call_1"


@FORMATS
@pytest.mark.parametrize("made", [whole, streamed])
def test_an_answer_is_the_same_message_in_every_format(endpoint: str, made: Any) -> None:
    found = transcript.answered(endpoint, made(endpoint))
    assert found is not None
    assert transcript.text(found) == "Let me look."
    ((call_id, name, arguments),) = transcript.calls(found)
    assert (call_id, name, json.loads(arguments)) == CALL
    assert found["reasoning_content"] == "Hm."


def test_a_completion_is_a_message_of_the_user_and_its_answer() -> None:
    asked = transcript.asked("completions", b'{"model": "m", "prompt": ["Once", "Twice"]}')
    assert asked is not None
    assert asked.messages == [{"role": "user", "content": "Once"}]
    answer = {"role": "assistant", "content": " upon"}
    assert transcript.answered("completions", b'{"choices": [{"index": 0, "text": " upon"}]}') == answer
    frames = b'data: {"choices":[{"text":" up"}]}\n\ndata: {"choices":[{"text":"on"}]}\n\ndata: [DONE]\n\n'
    assert transcript.answered("completions", frames) == answer
    assert transcript.asked("completions", b'{"model": "m", "prompt": [1, 2]}') is None


def test_a_request_that_goes_on_from_a_kept_answer_says_so() -> None:
    asked = transcript.asked("responses", b'{"model": "m", "input": "And now?", "previous_response_id": "resp_1"}')
    assert asked is not None
    assert asked.continues


@pytest.mark.parametrize("endpoint", ["embeddings", "infer", ""])
def test_what_is_no_conversation_is_none(endpoint: str) -> None:
    assert transcript.asked(endpoint, b"{}") is None
    assert transcript.answered(endpoint, b"{}") is None


@given(
    st.sampled_from(list(ASKS)),
    st.sampled_from([request, whole, streamed]),
    st.integers(0, 3_000),
    st.binary(max_size=9),
)
def test_a_body_that_was_cut_anywhere_or_is_another_is_read_as_far_as_it_goes(
    endpoint: str, made: Any, at: int, end: bytes
) -> None:
    body = made(endpoint)[:at] + end
    transcript.asked(endpoint, body)
    found = transcript.answered(endpoint, body)
    assert found is None or "Let me look.".startswith(transcript.text(found)) or end

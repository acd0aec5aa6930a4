from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from gateway.backends.fake_answers import Answer, decide
from gateway.backends.fake_format import (
    Head,
    chat_frames,
    chat_whole,
    embeddings_whole,
    text_frames,
    text_whole,
    usage_of,
    with_running_usage,
)
from gateway.backends.fake_script import Rule, ScriptedCall
from gateway.errors import InvalidRequest

HEAD = Head("id", 1, "m", None)
WITH_LOGPROBS = Head("id", 1, "m", 2)
PLAIN = decide({}, Rule(answer="hello you"), "")
CALLING = decide({}, Rule(tool_calls=[ScriptedCall("find", {"a": "b"})]), "")
THINKING = decide({}, Rule(answer="so", reasoning="because it is"), "")


def collected(frames: list[tuple[dict[str, Any], int]], index: int) -> tuple[str, str, str, str | None]:
    """Content, reasoning, tool arguments and finish reason of one choice."""
    content = reasoning = arguments = ""
    finish: str | None = None
    for frame, _ in frames:
        for choice in frame["choices"]:
            if choice["index"] != index:
                continue
            delta = choice["delta"]
            content += delta.get("content") or ""
            reasoning += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls", []):
                arguments += call["function"]["arguments"]
            finish = choice["finish_reason"] or finish
    return content, reasoning, arguments, finish


@pytest.mark.parametrize("answer", [PLAIN, CALLING, THINKING])
def test_a_stream_says_the_same_as_the_whole_answer_and_counts_the_same(answer: Answer) -> None:
    frames = list(chat_frames(HEAD, [answer, answer], None))
    message = chat_whole(HEAD, [answer], None)["choices"][0]["message"]
    arguments = "".join(call["function"]["arguments"] for call in message.get("tool_calls", []))
    for index in (0, 1):
        said = (message["content"] or "", message.get("reasoning_content", ""), arguments, answer.finish_reason)
        assert collected(frames, index) == said
    assert sum(tokens for _, tokens in frames) == 2 * answer.count


def test_usage_is_in_a_last_frame_without_choices_and_only_when_asked_for() -> None:
    usage = usage_of(7, 4, [PLAIN, PLAIN])
    assert (usage["total_tokens"], usage["completion_tokens"]) == (7 + 2 * PLAIN.count, 2 * PLAIN.count)
    *rest, (last, tokens) = chat_frames(HEAD, [PLAIN], usage)
    assert (last["choices"], last["usage"], tokens) == ([], usage, 0)
    assert not any("usage" in frame for frame, _ in rest)


def test_a_token_comes_with_as_many_alternatives_as_were_asked_for() -> None:
    [choice] = chat_whole(WITH_LOGPROBS, [PLAIN], None)["choices"]
    content = choice["logprobs"]["content"]
    assert [entry["token"] for entry in content] == PLAIN.tokens
    assert all(
        len(entry["top_logprobs"]) == 2 and entry["top_logprobs"][0]["token"] == entry["token"] for entry in content
    )


def test_completion_offsets_count_from_the_beginning_of_the_echoed_prompt() -> None:
    [choice] = text_whole(WITH_LOGPROBS, [PLAIN], ["say: "], None)["choices"]
    assert choice["text"] == "say: hello you"
    offsets = [
        offset
        for frame, tokens in text_frames(WITH_LOGPROBS, [PLAIN], ["say: "], None)
        if tokens
        for offset in frame["choices"][0]["logprobs"]["text_offset"]
    ]
    assert choice["logprobs"]["text_offset"] == offsets == [5, 9, 13]


def test_base64_vectors_are_the_float_vectors_in_little_endian_float32() -> None:
    floats = embeddings_whole({"dimensions": 8}, "m", ["x"], 1)["data"][0]["embedding"]
    coded = embeddings_whole({"dimensions": 8, "encoding_format": "base64"}, "m", ["x"], 1)["data"][0]["embedding"]
    assert struct.unpack("<8f", base64.b64decode(coded)) == pytest.approx(floats)
    with pytest.raises(InvalidRequest):
        embeddings_whole({"encoding_format": "hex"}, "m", ["x"], 1)


def test_running_usage_is_of_the_frames_own_choice_as_in_vllm_and_the_last_frame_has_the_sum() -> None:
    usage = usage_of(7, 0, [PLAIN, PLAIN])
    frames = list(with_running_usage(chat_frames(HEAD, [PLAIN, PLAIN], usage), [7, 7]))
    for index in (0, 1):
        told = [frame["usage"] for frame, _ in frames if frame["choices"] and frame["choices"][0]["index"] == index]
        assert [each["completion_tokens"] for each in told] == [0, *range(1, PLAIN.count + 1), PLAIN.count]
        assert all(each["total_tokens"] == 7 + each["completion_tokens"] for each in told)
    assert frames[-1][0]["usage"] == usage


def test_several_tokens_can_share_a_frame_and_the_text_stays_the_same() -> None:
    for per_frame in (2, 3, 100):
        chat = list(chat_frames(WITH_LOGPROBS, [PLAIN], None, per_frame))
        assert collected(chat, 0)[0] == PLAIN.text
        assert sum(tokens for _, tokens in chat) == PLAIN.count
        texts = list(text_frames(WITH_LOGPROBS, [PLAIN], [""], None, per_frame))
        assert "".join(frame["choices"][0]["text"] for frame, _ in texts) == PLAIN.text
        assert max(tokens for _, tokens in texts) == min(per_frame, PLAIN.count)

"""The fake server's answers as OpenAI's objects: whole, and as the frames of a stream."""

from __future__ import annotations

import base64
import itertools
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gateway.backends.fake_answers import Answer, vector, whole_number
from gateway.backends.fake_tokens import tokenise
from gateway.errors import InvalidRequest

Json = dict[str, Any]

DEFAULT_DIMENSIONS = 384


@dataclass(frozen=True, slots=True)
class Head:
    """What every object of one answer shares; `top`: alternatives asked for per token, None: no log-probabilities."""

    id: str
    created_s: int
    model: str
    top: int | None

    def object(self, kind: str, choices: list[Json]) -> Json:
        return {"id": self.id, "object": kind, "created": self.created_s, "model": self.model, "choices": choices}


def _alternatives(token: str, logprob: float, top: int) -> list[tuple[str, float]]:
    return [(token, logprob), *((f"{token}~{rank}", logprob - rank) for rank in range(1, top))][:top]


def _chat_logprobs(tokens: list[str], logprobs: list[float], top: int) -> Json:
    def entry(token: str, logprob: float) -> Json:
        return {"token": token, "logprob": logprob, "bytes": list(token.encode("utf-8", "surrogatepass"))}

    return {
        "content": [
            {**entry(token, logprob), "top_logprobs": [entry(*other) for other in _alternatives(token, logprob, top)]}
            for token, logprob in zip(tokens, logprobs, strict=True)
        ]
    }


def _text_logprobs(tokens: list[str], logprobs: list[float], top: int, offset: int) -> Json:
    offsets = list(itertools.accumulate((len(token) for token in tokens[:-1]), initial=offset)) if tokens else []
    return {
        "tokens": tokens,
        "token_logprobs": logprobs,
        "top_logprobs": [dict(_alternatives(t, p, max(1, top))) for t, p in zip(tokens, logprobs, strict=True)],
        "text_offset": offsets,
    }


def _call(index: int, name: str, arguments: str) -> Json:
    return {"id": f"call_{index:08d}", "type": "function", "function": {"name": name, "arguments": arguments}}


def usage_of(input_tokens: int, cached_tokens: int, answers: list[Answer]) -> Json:
    """OpenAI's usage object: exact sums over all choices."""
    output = sum(answer.count for answer in answers)
    return {
        "prompt_tokens": input_tokens,
        "completion_tokens": output,
        "total_tokens": input_tokens + output,
        "prompt_tokens_details": {"cached_tokens": cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": sum(len(answer.reasoning) for answer in answers)},
    }


def chat_whole(head: Head, answers: list[Answer], usage: Json | None) -> Json:
    """A `chat.completion`."""
    choices: list[Json] = []
    for index, answer in enumerate(answers):
        message: Json = {"role": "assistant", "content": None if answer.tool_calls else answer.text, "refusal": None}
        if answer.reasoning:
            message["reasoning_content"] = "".join(answer.reasoning)
        if answer.tool_calls:
            message["tool_calls"] = [_call(i, *call) for i, call in enumerate(answer.tool_calls)]
        logprobs = None if head.top is None else _chat_logprobs(answer.tokens, answer.logprobs, head.top)
        choices.append(
            {"index": index, "message": message, "logprobs": logprobs, "finish_reason": answer.finish_reason}
        )
    value = head.object("chat.completion", choices)
    return value if usage is None else {**value, "usage": usage}


def text_whole(head: Head, answers: list[Answer], prefixes: list[str], usage: Json | None) -> Json:
    """A `text_completion`; `prefixes` is what `echo` puts before each answer."""
    choices = [
        {
            "index": index,
            "text": prefix + answer.text,
            "logprobs": None
            if head.top is None
            else _text_logprobs(answer.tokens, answer.logprobs, head.top, len(prefix)),
            "finish_reason": answer.finish_reason,
        }
        for index, (answer, prefix) in enumerate(zip(answers, prefixes, strict=True))
    ]
    value = head.object("text_completion", choices)
    return value if usage is None else {**value, "usage": usage}


Frame = tuple[Json, int]  # the object of one SSE frame, and how many tokens it carries


def _interleaved(parts: list[list[Frame]]) -> Iterator[Frame]:
    for row in itertools.zip_longest(*parts):
        yield from (frame for frame in row if frame is not None)


def _in_groups(answer: Answer, size: int) -> Iterator[tuple[list[str], list[float]]]:
    for start in range(0, len(answer.tokens), size):
        yield answer.tokens[start : start + size], answer.logprobs[start : start + size]


def with_running_usage(frames: Iterator[Frame], input_tokens: list[int]) -> Iterator[Frame]:
    """Tells in each frame what its choice has used so far, as vLLM does for `continuous_usage_stats`: from 0 in the
    first frame on, and of that choice alone (only the frame at the end has the sum). `input_tokens` by choice.
    """
    produced = [0] * len(input_tokens)
    for frame, tokens in frames:
        if not frame["choices"]:
            yield frame, tokens
            continue
        index = frame["choices"][0]["index"]
        produced[index] += tokens
        used, done = input_tokens[index], produced[index]
        usage = {"prompt_tokens": used, "total_tokens": used + done, "completion_tokens": done}
        yield {**frame, "usage": {**usage, "completion_tokens_details": None}}, tokens


def chat_frames(head: Head, answers: list[Answer], usage: Json | None, per_frame: int = 1) -> Iterator[Frame]:
    """The frames of a streamed chat answer; the last one holds the usage when there is one to tell. `per_frame`: so
    many tokens of the text share a frame.
    """

    def frame(index: int, delta: Json, finish_reason: str | None = None, logprobs: Json | None = None) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        return head.object("chat.completion.chunk", [choice])

    def choice_frames(index: int, answer: Answer) -> list[Frame]:
        frames: list[Frame] = [(frame(index, {"role": "assistant", "content": ""}), 0)]
        frames += [(frame(index, {"reasoning_content": token}), 1) for token in answer.reasoning]
        for tokens, logprobs in _in_groups(answer, per_frame):
            told = None if head.top is None else _chat_logprobs(tokens, logprobs, head.top)
            frames.append((frame(index, {"content": "".join(tokens)}, logprobs=told), len(tokens)))
        for number, (name, arguments) in enumerate(answer.tool_calls):
            frames.append(
                (frame(index, {"tool_calls": [{"index": number, **_call(number, name, "")}]}), len(tokenise(name)))
            )
            for token in tokenise(arguments):
                frames.append((frame(index, {"tool_calls": [{"index": number, "function": {"arguments": token}}]}), 1))
        frames.append((frame(index, {}, answer.finish_reason), 0))
        return frames

    yield from _interleaved([choice_frames(index, answer) for index, answer in enumerate(answers)])
    if usage is not None:
        yield {**head.object("chat.completion.chunk", []), "usage": usage}, 0


def text_frames(
    head: Head, answers: list[Answer], prefixes: list[str], usage: Json | None, per_frame: int = 1
) -> Iterator[Frame]:
    """The frames of a streamed completion; `per_frame` as for `chat_frames`."""

    def frame(index: int, text: str, finish_reason: str | None = None, logprobs: Json | None = None) -> Json:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}
        return head.object("text_completion", [choice])

    def choice_frames(index: int, answer: Answer, prefix: str) -> list[Frame]:
        frames: list[Frame] = [(frame(index, prefix), 0)] if prefix else []
        offset = len(prefix)
        for tokens, logprobs in _in_groups(answer, per_frame):
            text = "".join(tokens)
            told = None if head.top is None else _text_logprobs(tokens, logprobs, head.top, offset)
            frames.append((frame(index, text, logprobs=told), len(tokens)))
            offset += len(text)
        frames.append((frame(index, "", answer.finish_reason), 0))
        return frames

    parts = [choice_frames(i, answer, prefix) for i, (answer, prefix) in enumerate(zip(answers, prefixes, strict=True))]
    yield from _interleaved(parts)
    if usage is not None:
        yield {**head.object("text_completion", []), "usage": usage}, 0


def embeddings_whole(request: Json, model: str, inputs: list[str], input_tokens: int) -> Json:
    """The answer to an embeddings request, as floats or as base64 of little-endian float32."""
    dimensions = whole_number(request, "dimensions", DEFAULT_DIMENSIONS, 1, 4096) or DEFAULT_DIMENSIONS
    if request.get("encoding_format") not in (None, "float", "base64"):
        raise InvalidRequest("encoding_format must be float or base64", param="encoding_format")
    data: list[Json] = []
    for index, text in enumerate(inputs):
        values: Any = vector(text, dimensions)
        if request.get("encoding_format") == "base64":
            values = base64.b64encode(struct.pack(f"<{dimensions}f", *values)).decode()
        data.append({"object": "embedding", "index": index, "embedding": values})
    usage = {"prompt_tokens": input_tokens, "total_tokens": input_tokens}
    return {"object": "list", "data": data, "model": model, "usage": usage}

"""What providers speak, small and real: scripts for `tests.support.upstream` that read OpenAI's and Anthropic's
requests and answer in the same format: texts, streams, tools, usage.

The answer to a chat is the last user message reversed, word by word; with tools, a call of the first one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.support.upstream import DONE_FRAME, LAST_CHUNK, STREAM_HEAD, Script, Talk, chunk, stream, unary

Json = dict[str, Any]
KEY = "sk-provider-0123456789abcdef"
ARGUMENTS = {"city": "Paris"}


def speaks(format_name: str) -> Script:
    """A provider that speaks `openai` or `anthropic` and knows only `KEY`."""

    async def script(talk: Talk) -> None:
        request = json.loads(talk.seen.body)
        path = talk.seen.head.split(b" ")[1].decode()
        if format_name == "openai":
            known = talk.seen.header("authorization") == f"Bearer {KEY}"
        else:
            known = talk.seen.header("x-api-key") == KEY and talk.seen.header("anthropic-version") is not None
        if not known:
            await talk.send(refusal(401, f"Incorrect API key provided: {talk.seen.header('authorization')}"))
        elif path.endswith("/embeddings"):
            await talk.send(unary(_encoded(_embeddings(request))))
        elif path.endswith("/chat/completions"):
            await talk.send(_answered(request, openai_frames(request), openai_whole(request)))
        elif path.endswith("/completions"):
            await talk.send(_answered(request, _text_frames(request), _text(request)))
        else:
            assert path.endswith("/v1/messages"), path
            await talk.send(_answered(request, anthropic_frames(request), anthropic_whole(request)))

    return script


def refusal(status: int, message: str, *, code: str = "", headers: bytes = b"") -> bytes:
    """An error that both formats' clients read."""
    error = {"type": "invalid_request_error", "message": message, "param": None, "code": code or None}
    return unary(_encoded({"type": "error", "error": error}), f"{status} Refused", headers)


def breaks_off(format_name: str, frames: int, *, cleanly: bool) -> Script:
    """Streams that many frames and ends: without its end, or as HTTP should but before the answer has come to its."""

    async def script(talk: Talk) -> None:
        request = json.loads(talk.seen.body)
        all_frames = list(openai_frames(request) if format_name == "openai" else anthropic_frames(request))
        await talk.send(STREAM_HEAD + b"".join(map(chunk, all_frames[:frames])))
        if cleanly:
            await talk.send(LAST_CHUNK)
        talk.close()

    return script


def stops_after(format_name: str, frames: int) -> Script:
    """Streams that many frames and then nothing, until the caller leaves."""

    async def script(talk: Talk) -> None:
        request = json.loads(talk.seen.body)
        all_frames = list(openai_frames(request) if format_name == "openai" else anthropic_frames(request))
        await talk.send(STREAM_HEAD + b"".join(map(chunk, all_frames[:frames])))
        await talk.caller_left()

    return script


def _encoded(value: Json) -> bytes:
    return json.dumps(value).encode()


def _answered(request: Json, frames: Iterator[bytes], whole: Json) -> bytes:
    return stream(list(frames)) if request.get("stream") else unary(_encoded(whole))


def _words(request: Json) -> list[str]:
    content = request["messages"][-1]["content"] if "messages" in request else request["prompt"]
    if isinstance(content, list):
        content = " ".join(part.get("text", "") for part in content)
    return list(reversed(str(content).split()))


def _usage(words: int) -> Json:
    return {
        "prompt_tokens": 10,
        "completion_tokens": words,
        "total_tokens": 10 + words,
        "prompt_tokens_details": {"cached_tokens": 4},
    }


# -- OpenAI


def openai_whole(request: Json) -> Json:
    """The answer to `/chat/completions`."""
    words = _words(request)
    message: Json = {"role": "assistant", "content": " ".join(words)}
    if request.get("tools"):
        function = {"name": request["tools"][0]["function"]["name"], "arguments": json.dumps(ARGUMENTS)}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        }
    reason = "tool_calls" if request.get("tools") else "stop"
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": _usage(len(words)),
    }


def openai_frames(request: Json) -> Iterator[bytes]:
    """The same as a stream: a frame per word (or two for a tool's arguments), the reason, the usage where asked."""
    words = _words(request)
    yield _openai_frame(request, {"role": "assistant", "content": ""})
    if request.get("tools"):
        name = request["tools"][0]["function"]["name"]
        first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": name, "arguments": ""}}
        yield _openai_frame(request, {"tool_calls": [first]})
        text = json.dumps(ARGUMENTS)
        for part in (text[:5], text[5:]):
            yield _openai_frame(request, {"tool_calls": [{"index": 0, "function": {"arguments": part}}]})
        yield _openai_frame(request, {}, "tool_calls")
    else:
        for number, word in enumerate(words):
            yield _openai_frame(request, {"content": word if number == 0 else f" {word}"})
        yield _openai_frame(request, {}, "stop")
    if (request.get("stream_options") or {}).get("include_usage"):
        yield _data({**_openai_head(request), "choices": [], "usage": _usage(len(words))})
    yield DONE_FRAME


def _openai_head(request: Json) -> Json:
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": request["model"]}


def _openai_frame(request: Json, delta: Json, reason: str | None = None) -> bytes:
    return _data({**_openai_head(request), "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})


def _data(value: Json) -> bytes:
    return b"data: " + _encoded(value) + b"\n\n"


def _text(request: Json) -> Json:
    words = _words(request)
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1,
        "model": request["model"],
        "choices": [{"index": 0, "text": " ".join(words), "finish_reason": "stop", "logprobs": None}],
        "usage": _usage(len(words)),
    }


def _text_frames(request: Json) -> Iterator[bytes]:
    whole = _text(request)
    words = _words(request)
    for number, word in enumerate(words):
        text = word if number == 0 else f" {word}"
        yield _data({**whole, "usage": None, "choices": [{"index": 0, "text": text, "finish_reason": None}]})
    yield _data({**whole, "usage": None, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]})
    if (request.get("stream_options") or {}).get("include_usage"):
        yield _data({**whole, "choices": []})
    yield DONE_FRAME


def _embeddings(request: Json) -> Json:
    inputs = request["input"] if isinstance(request["input"], list) else [request["input"]]
    vectors = [{"object": "embedding", "index": i, "embedding": [0.5, -0.25]} for i in range(len(inputs))]
    usage = {"prompt_tokens": len(inputs), "total_tokens": len(inputs)}
    return {"object": "list", "model": request["model"], "data": vectors, "usage": usage}


# -- Anthropic


def anthropic_whole(request: Json) -> Json:
    """The answer to `/v1/messages`."""
    words = _words(request)
    content: list[Json] = [{"type": "text", "text": " ".join(words)}]
    if request.get("tools"):
        content = [{"type": "tool_use", "id": "toolu_1", "name": request["tools"][0]["name"], "input": ARGUMENTS}]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": content,
        "stop_reason": "tool_use" if request.get("tools") else "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 6, "cache_read_input_tokens": 4, "output_tokens": len(words)},
    }


def anthropic_frames(request: Json) -> Iterator[bytes]:
    """The same as Anthropic's events."""
    whole = anthropic_whole(request)
    started = {**whole["usage"], "output_tokens": 1}
    yield _event("message_start", message={**whole, "content": [], "stop_reason": None, "usage": started})
    block = whole["content"][0]
    if block["type"] == "tool_use":
        yield _event("content_block_start", index=0, content_block={**block, "input": {}})
        text = json.dumps(block["input"])
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in (text[:5], text[5:])]
    else:
        yield _event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        words = block["text"].split(" ")
        deltas = [{"type": "text_delta", "text": word if i == 0 else f" {word}"} for i, word in enumerate(words)]
    for delta in deltas:
        yield _event("content_block_delta", index=0, delta=delta)
    yield _event("content_block_stop", index=0)
    usage = {"output_tokens": whole["usage"]["output_tokens"]}
    yield _event("message_delta", delta={"stop_reason": whole["stop_reason"], "stop_sequence": None}, usage=usage)
    yield _event("message_stop")


def _event(kind: str, **more: Any) -> bytes:
    return b"event: " + kind.encode() + b"\n" + _data({"type": kind, **more})

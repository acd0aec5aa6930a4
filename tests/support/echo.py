"""An upstream that says what it was told: the text of the last message, or its answer to it, in any pieces; in OpenAI's
chat format, and as the arguments of a tool call where the request offers tools.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.support.upstream import DONE_FRAME, LAST_CHUNK, STREAM_HEAD, Script, Talk, chunk, unary

Say = Callable[[str], str]


def _same(text: str) -> str:
    return text


def cut(text: str, size: int) -> list[str]:
    """A text in pieces of so many characters."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def echo(size: int = 7, say: Say = _same) -> Script:
    """Answers each request with what `say` makes of its last message, streamed in pieces of `size` characters."""

    async def answer(talk: Talk) -> None:
        asked = json.loads(talk.seen.body)
        content = asked["messages"][-1]["content"]
        said = say(content if isinstance(content, str) else "".join(each.get("text", "") for each in content))
        choices = range(asked.get("n", 1))
        tool = asked["tools"][0] if asked.get("tools") else None
        if not asked.get("stream"):
            await talk.send(unary(_body([_choice(index, "message", said, tool) for index in choices])))
            return
        frames = [_frame([{"index": index, "delta": {"role": "assistant"}} for index in choices])]
        for number, piece in enumerate(cut(said, size)):
            frames += [_frame([_choice(index, "delta", piece, tool, number)]) for index in choices]
        finish = "tool_calls" if tool else "stop"
        frames += [_frame([{"index": index, "delta": {}, "finish_reason": finish}]) for index in choices]
        usage = {"prompt_tokens": 5, "completion_tokens": len(said), "total_tokens": 5 + len(said)}
        frames += [_data({"id": "c1", "choices": [], "usage": usage}), DONE_FRAME]
        await talk.send(STREAM_HEAD + b"".join(map(chunk, frames)) + LAST_CHUNK)

    return answer


def _choice(index: int, name: str, text: str, tool: dict[str, Any] | None, number: int = 0) -> dict[str, Any]:
    if tool is None:
        said: dict[str, Any] = {"content": text}
    else:
        kind = tool["type"]
        call: dict[str, Any] = {"index": 0, kind: {"arguments" if kind == "function" else "input": text}}
        if number == 0:
            call |= {"id": "call_1", "type": kind}
            call[kind]["name"] = tool[kind]["name"]
        said = {"tool_calls": [call], "content": None}
    whole = {} if name == "delta" else {"finish_reason": "stop" if tool is None else "tool_calls"}
    return {"index": index, name: ({"role": "assistant"} if whole else {}) | said, **whole}


def _body(choices: Sequence[dict[str, Any]]) -> bytes:
    usage = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}
    whole = {"id": "c1", "object": "chat.completion", "created": 1, "model": "served"}
    return json.dumps(whole | {"choices": list(choices), "usage": usage}).encode()


def _frame(choices: Sequence[dict[str, Any]]) -> bytes:
    whole = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "served"}
    return _data(whole | {"choices": list(choices)})


def _data(frame: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % json.dumps(frame).encode()

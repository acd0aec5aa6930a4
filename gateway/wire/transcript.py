"""What was said in a request, as messages of OpenAI's chat format, whatever the format it was said in. Pure.

For reading what was kept, not for passing it on: what cannot be read gives None, and what a chat cannot say is left
out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import msgspec

from gateway.errors import GatewayError
from gateway.wire import chat, completions
from gateway.wire.call import Call
from gateway.wire.messages import codec as messages_codec
from gateway.wire.responses import codec as responses_codec

Message: TypeAlias = dict[str, Any]

CODECS: Final = {
    codec.endpoint: codec for codec in (chat.CODEC, completions.CODEC, messages_codec.CODEC, responses_codec.CODEC)
}
"""Endpoints at which something is said and answered."""
_NOT_ONE: Final = (GatewayError, msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What reading something else raises: it was kept, and may have been cut anywhere."""


class Asked:
    """A request: what it says, and whether it goes on from something that it does not say again."""

    __slots__ = ("continues", "messages", "tools")

    def __init__(self, messages: list[Message], tools: list[Message], *, continues: bool) -> None:
        self.messages: Final = messages
        self.tools: Final = tools
        """Those that the model may ask for."""
        self.continues: Final = continues


def asked(endpoint: str, body: bytes) -> Asked | None:
    """What a request says; None for what is no conversation, or cannot be read."""
    codec = CODECS.get(endpoint)
    if codec is None:
        return None
    try:
        call = codec.parse(body, b"application/json")
        messages, tools = (_prompt(call), []) if endpoint == "completions" else _messages(call)
    except _NOT_ONE:
        return None
    return Asked(messages, tools, continues=call.continues is not None or call.conversation is not None)


def answered(endpoint: str, body: bytes) -> Message | None:
    """The first answer to it; None where there is none, or it cannot be read."""
    reader = _READERS.get(endpoint)
    if reader is None:
        return None
    whole, streamed = reader
    try:
        frames = list(_frames(body)) if not body.lstrip().startswith(b"{") else None
        found = whole(json.loads(body)) if frames is None else streamed(frames)
    except _NOT_ONE:
        return None
    return found if len(found) > 1 else None


def calls(message: Message) -> list[tuple[str, str, str]]:
    """The tools that a message asks for: id, name and arguments (JSON) of each."""
    found = []
    for call in message.get("tool_calls") or ():
        function = call.get("function") or call.get("custom") or {}
        said = function.get("arguments", function.get("input", ""))
        found.append((str(call.get("id") or ""), str(function.get("name") or ""), str(said or "")))
    return found


def text(message: Message) -> str:
    """The text of a message."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
    return str(content or "")


def _messages(call: Call) -> tuple[list[Message], list[Message]]:
    """The messages and the tools."""
    form = CODECS[call.endpoint].translated
    body = call.body if form is None or call.endpoint == "chat" else form.outgoing(call, call.alias, b'""', {})
    said = json.loads(body)
    if not all(isinstance(each, dict) for each in said["messages"]):
        raise ValueError("not all of them are messages")
    return list(said["messages"]), list(said.get("tools") or ())


def _prompt(call: Call) -> list[Message]:
    prompt = json.loads(bytes(call.fields["prompt"]))
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], str):
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise ValueError("token ids are no text")
    return [{"role": "user", "content": prompt}]


def _frames(body: bytes) -> Iterator[dict[str, Any]]:
    """The events of a stream; the last one may have been cut."""
    for line in body.decode("utf-8", "replace").split("\n"):
        if line.startswith("data:"):
            try:
                found = json.loads(line[5:])
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found


class _Said:
    """A message that is put together of pieces."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.calls: dict[object, dict[str, str]] = {}

    def more(self, kind: str, piece: object) -> None:
        if isinstance(piece, str) and piece:
            self.texts[kind] = self.texts.get(kind, "") + piece

    def call(self, key: object, **pieces: object) -> None:
        known = self.calls.setdefault(key, {"id": "", "name": "", "arguments": ""})
        for name, piece in pieces.items():
            if isinstance(piece, str):
                known[name] += piece

    def message(self) -> Message:
        found: Message = {"role": "assistant", **self.texts}
        if self.calls:
            found["tool_calls"] = [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": {"name": call["name"], "arguments": call["arguments"]},
                }
                for call in self.calls.values()
            ]
        if found.keys() - {"role"}:
            found.setdefault("content", None)
        return found


# -- chat, completions


def _chat(body: dict[str, Any]) -> Message:
    told = body["choices"][0]["message"]
    said = {name: value for name, value in told.items() if value not in (None, [], "")}
    return {"role": "assistant", "content": None} | said if said.keys() - {"role"} else {"role": "assistant"}


def _chat_frames(frames: list[dict[str, Any]]) -> Message:
    said = _Said()
    for frame in frames:
        for choice in frame.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            delta = choice.get("delta") or {}
            said.more("reasoning_content", delta.get("reasoning_content") or delta.get("reasoning"))
            said.more("content", delta.get("content"))
            said.more("refusal", delta.get("refusal"))
            for call in delta.get("tool_calls") or ():
                function = call.get("function") or {}
                key = call.get("index", 0)
                said.call(key, id=call.get("id"), name=function.get("name"), arguments=function.get("arguments"))
    return said.message()


def _completion(body: dict[str, Any]) -> Message:
    return {"role": "assistant", "content": body["choices"][0]["text"]}


def _completion_frames(frames: list[dict[str, Any]]) -> Message:
    said = _Said()
    for frame in frames:
        for choice in frame.get("choices") or ():
            if choice.get("index", 0) == 0:
                said.more("content", choice.get("text"))
    return said.message()


# -- messages


def _message(body: dict[str, Any]) -> Message:
    said = _Said()
    for index, block in enumerate(body["content"]):
        _block(said, index, block)
        if block.get("type") == "tool_use":
            said.call(index, arguments=json.dumps(block.get("input") or {}))
    return said.message()


def _message_frames(frames: list[dict[str, Any]]) -> Message:
    said = _Said()
    for frame in frames:
        if frame.get("type") == "content_block_start":
            _block(said, frame.get("index"), frame.get("content_block") or {})
        elif frame.get("type") == "content_block_delta":
            delta = frame.get("delta") or {}
            said.more("content", delta.get("text"))
            said.more("reasoning_content", delta.get("thinking"))
            if "partial_json" in delta:
                said.call(frame.get("index"), arguments=delta["partial_json"])
    return said.message()


def _block(said: _Said, index: object, block: Mapping[str, Any]) -> None:
    said.more("content", block.get("text"))
    said.more("reasoning_content", block.get("thinking"))
    if block.get("type") == "tool_use":
        said.call(index, id=block.get("id"), name=block.get("name"))


# -- responses


def _response(body: dict[str, Any]) -> Message:
    said = _Said()
    for index, item in enumerate(body["output"]):
        match item.get("type"):
            case "message":
                for part in item.get("content") or ():
                    said.more("content", part.get("text"))
                    said.more("refusal", part.get("refusal"))
            case "reasoning":
                for part in (*(item.get("content") or ()), *(item.get("summary") or ())):
                    said.more("reasoning_content", part.get("text"))
            case "function_call":
                said.call(index, id=item.get("call_id"), name=item.get("name"), arguments=item.get("arguments"))
    return said.message()


def _response_frames(frames: list[dict[str, Any]]) -> Message:
    """The last event has all of it; of a stream that was cut its items do that are done."""
    for frame in reversed(frames):
        if isinstance(frame.get("response"), dict) and frame["response"].get("output"):
            return _response(frame["response"])
    done = [frame["item"] for frame in frames if frame.get("type") == "response.output_item.done"]
    return _response({"output": done})


_Reader: TypeAlias = tuple[Callable[[dict[str, Any]], Message], Callable[[list[dict[str, Any]]], Message]]
_READERS: Final[Mapping[str, _Reader]] = {
    "chat": (_chat, _chat_frames),
    "completions": (_completion, _completion_frames),
    "messages": (_message, _message_frames),
    "responses": (_response, _response_frames),
}

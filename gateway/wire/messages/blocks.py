"""The content of Anthropic's messages as the messages of a chat: block by block, each value copied as the bytes it is.

What chat cannot say is refused by naming the block's type and its place, as in `messages[3].content[1]`; nothing is
left out without a word here:

- Thinking of earlier turns is dropped: chat has no common place for it, and reasoning models drop it themselves.
- `cache_control` and `citations` of a block are dropped: they change no answer.
- Texts of one system prompt or one tool result become one text, by lines; those of one answer are joined as they are.
- A tool's error is said in words: its result begins with "Error: ".
- Images in a tool's result follow it in the next message of the user, since chat's tool messages hold text only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire.body import shown, typed

Raw = msgspec.Raw
Json = dict[str, Any]

MAX_PIECES: Final = 20_000
"""Of messages and their blocks in one request: walking millions would hold up all others."""

_QUOTE: Final = ord('"')
_NULL: Final = Raw(b"null")


class _Block(msgspec.Struct, gc=False):
    type: str
    text: Raw = _NULL
    source: dict[str, Raw] | list[Raw] | str | float | bool | None = None
    id: Raw = _NULL
    name: Raw = _NULL
    arguments: Raw = msgspec.field(name="input", default=_NULL)
    tool_use_id: Raw = _NULL
    content: Raw = _NULL
    is_error: bool | None = None


Content = str | list[_Block]


class _Message(msgspec.Struct, gc=False):
    role: str
    content: Content


# One pass over all messages: images make them large, and each more would read every byte of them again.
_decode_messages: Final = msgspec.json.Decoder(list[_Message]).decode
_decode_content: Final = msgspec.json.Decoder(Content).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_text: Final = msgspec.json.Decoder(str).decode
_encode: Final = msgspec.json.Encoder().encode


class _Budget:
    """How many more pieces this request may have."""

    def __init__(self) -> None:
        self.left = MAX_PIECES

    def take(self, pieces: int) -> None:
        self.left -= pieces
        if self.left < 0:
            raise InvalidRequest(f"messages may hold at most {MAX_PIECES} messages and blocks", param="messages")


def translate(system: Raw | None, messages: Raw) -> list[Json]:
    """The messages of a chat; values that are copied are `Raw`. Raises InvalidRequest."""
    chat: list[Json] = []
    budget = _Budget()
    if system is not None and system != _NULL:
        chat.append({"role": "system", "content": _texts(_read(system, "system", budget))})
    found = typed(_decode_messages, messages, "messages")
    budget.take(len(found))
    for index, message in enumerate(found):
        where = f"messages[{index}]"
        blocks = _blocks(message.content, f"{where}.content", budget)
        if message.role == "user":
            chat += _of_user(blocks, budget)
        elif message.role == "assistant":
            chat.append(_of_assistant(blocks))
        elif message.role == "system":
            chat.append({"role": "system", "content": _texts(blocks)})
        else:
            raise InvalidRequest(f"{where}.role must be user, assistant or system", param=f"{where}.role")
    return chat


Placed = list[tuple[str, _Block]]


def _read(content: Raw, where: str, budget: _Budget) -> Placed:
    return _blocks(typed(_decode_content, content, where), where, budget)


def _blocks(content: Content, where: str, budget: _Budget) -> Placed:
    """The blocks of a content with their places; a string is one block of text."""
    if isinstance(content, str):
        return [(where, _Block("text", text=Raw(_encode(content))))]
    budget.take(len(content))
    return [(f"{where}[{index}]", block) for index, block in enumerate(content)]


def _of_user(blocks: Placed, budget: _Budget) -> Iterator[Json]:
    """The results of tools first, as chat wants them behind the call; then what the user says, if anything."""
    parts: list[Json] = []
    results = 0
    for where, block in blocks:
        if block.type == "tool_result":
            results += 1
            content, images = _result(block, where, budget)
            yield {"role": "tool", "tool_call_id": text(block.tool_use_id, f"{where}.tool_use_id"), "content": content}
            parts += images
        elif block.type == "text":
            parts.append({"type": "text", "text": text(block.text, f"{where}.text")})
        elif block.type == "image":
            parts.append(_image(block, where))
        else:
            raise _refused(block, where)
    if len(parts) == 1 and parts[0]["type"] == "text":
        yield {"role": "user", "content": parts[0]["text"]}
    elif parts or not results:
        yield {"role": "user", "content": parts or ""}


def _of_assistant(blocks: Placed) -> Json:
    texts: list[Raw] = []
    calls: list[Json] = []
    for where, block in blocks:
        if block.type == "text":
            texts.append(text(block.text, f"{where}.text"))
        elif block.type == "tool_use":
            calls.append(_call(block, where))
        elif block.type not in ("thinking", "redacted_thinking"):
            raise _refused(block, where)
    said: Json = {"role": "assistant", "content": _joined(texts, b"") if texts or not calls else None}
    return {**said, "tool_calls": calls} if calls else said


def _call(block: _Block, where: str) -> Json:
    typed(_decode_object, block.arguments, f"{where}.input")
    try:
        arguments = bytes(block.arguments).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(f"{where}.input must be UTF-8", param=f"{where}.input") from None
    function = {"name": text(block.name, f"{where}.name"), "arguments": arguments}
    return {"id": text(block.id, f"{where}.id"), "type": "function", "function": function}


def _result(block: _Block, where: str, budget: _Budget) -> tuple[Raw, list[Json]]:
    """The text of a tool's result, and the images in it."""
    texts: list[Raw] = []
    images: list[Json] = []
    for place, inner in [] if block.content == _NULL else _read(block.content, f"{where}.content", budget):
        if inner.type == "text":
            texts.append(text(inner.text, f"{place}.text"))
        elif inner.type == "image":
            images.append(_image(inner, place))
        else:
            raise _refused(inner, place)
    joined = _joined(texts, b"\\n")
    return (Raw(b'"Error: ' + bytes(joined)[1:]) if block.is_error else joined), images


def _image(block: _Block, where: str) -> Json:
    where, source = f"{where}.source", block.source
    if not isinstance(source, dict):
        raise InvalidRequest(f"{where} must be an object", param=where)
    kind = typed(_decode_text, source.get("type", _NULL), f"{where}.type")
    if kind == "url":
        url = text(source.get("url", _NULL), f"{where}.url")
    elif kind == "base64":
        media_type = text(source.get("media_type", _NULL), f"{where}.media_type")
        data = text(source.get("data", _NULL), f"{where}.data")
        url = Raw(b"".join((b'"data:', memoryview(media_type)[1:-1], b";base64,", memoryview(data)[1:])))
    else:
        raise InvalidRequest(
            f"{where} of type {shown(kind)} cannot be sent to this model's backend: base64 and url can", param=where
        )
    return {"type": "image_url", "image_url": {"url": url}}


def _texts(blocks: Placed) -> Raw:
    """A content that may hold text only, as one string."""
    texts = []
    for place, block in blocks:
        if block.type != "text":
            raise _refused(block, place)
        texts.append(text(block.text, f"{place}.text"))
    return _joined(texts, b"\\n")


def _joined(texts: list[Raw], between: bytes) -> Raw:
    """JSON strings as one, `between` (escaped as in JSON) put between them."""
    if len(texts) == 1:
        return texts[0]
    return Raw(b'"' + between.join(bytes(each)[1:-1] for each in texts) + b'"')


def text(raw: Raw, where: str) -> Raw:
    """A JSON value that must be a string, as it is."""
    if memoryview(raw)[0] != _QUOTE:
        raise InvalidRequest(f"{where} must be a string", param=where)
    return raw


def _refused(block: _Block, where: str) -> InvalidRequest:
    return InvalidRequest(
        f"{where}: a block of type {shown(block.type)} cannot be sent here to this model's backend, "
        "which speaks chat completions only",
        param=where,
    )

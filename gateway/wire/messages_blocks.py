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
_BRACKET: Final = ord("[")
_NO_TEXT: Final = Raw(b'""')
_NULL: Final = Raw(b"null")


class _Message(msgspec.Struct, gc=False):
    role: str
    content: Raw


class _Block(msgspec.Struct, gc=False):
    type: str
    text: Raw = _NULL
    source: Raw = _NULL
    id: Raw = _NULL
    name: Raw = _NULL
    arguments: Raw = msgspec.field(name="input", default=_NULL)
    tool_use_id: Raw = _NULL
    content: Raw = _NULL
    is_error: bool | None = None


class _Source(msgspec.Struct, gc=False):
    type: str
    media_type: Raw = _NULL
    data: Raw = _NULL
    url: Raw = _NULL


_decode_list: Final = msgspec.json.Decoder(list[Raw]).decode
_decode_message: Final = msgspec.json.Decoder(_Message).decode
_decode_block: Final = msgspec.json.Decoder(_Block).decode
_decode_source: Final = msgspec.json.Decoder(_Source).decode
_decode_object: Final = msgspec.json.Decoder(dict[str, Raw]).decode


def translate(system: Raw | None, messages: Raw) -> list[Json]:
    """The messages of a chat; values that are copied are `Raw`. Raises InvalidRequest."""
    chat: list[Json] = []
    if system is not None and system != _NULL:
        chat.append({"role": "system", "content": _texts(system, "system", b"\\n")})
    left = MAX_PIECES
    for index, raw in enumerate(typed(_decode_list, messages, "messages")):
        where = f"messages[{index}]"
        message = typed(_decode_message, raw, where)
        blocks = _blocks(message.content, f"{where}.content")
        left -= 1 + len(blocks)
        if left < 0:
            raise InvalidRequest(f"messages may hold at most {MAX_PIECES} messages and blocks", param="messages")
        if message.role == "user":
            chat += _of_user(blocks)
        elif message.role == "assistant":
            chat.append(_of_assistant(blocks))
        elif message.role == "system":
            chat.append({"role": "system", "content": _texts(message.content, f"{where}.content", b"\\n")})
        else:
            raise InvalidRequest(f"{where}.role must be user, assistant or system", param=f"{where}.role")
    return chat


Placed = list[tuple[str, _Block]]


def _blocks(content: Raw, where: str) -> Placed:
    """The blocks of a content with their places; a string is one block of text."""
    if is_text(content):
        return [(where, _Block("text", text=content))]
    if memoryview(content)[0] != _BRACKET:
        raise InvalidRequest(f"{where} must be a string or an array of blocks", param=where)
    found = typed(_decode_list, content, where)
    places = [f"{where}[{index}]" for index in range(len(found))]
    return [(place, typed(_decode_block, raw, place)) for place, raw in zip(places, found, strict=True)]


def _of_user(blocks: Placed) -> Iterator[Json]:
    """The results of tools first, as chat wants them behind the call; then what the user says, if anything."""
    parts: list[Json] = []
    results = 0
    for where, block in blocks:
        if block.type == "tool_result":
            results += 1
            content, images = _result(block, where)
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


def _result(block: _Block, where: str) -> tuple[Raw, list[Json]]:
    """The text of a tool's result, and the images in it."""
    texts: list[Raw] = []
    images: list[Json] = []
    for place, inner in [] if block.content == _NULL else _blocks(block.content, f"{where}.content"):
        if inner.type == "text":
            texts.append(text(inner.text, f"{place}.text"))
        elif inner.type == "image":
            images.append(_image(inner, place))
        else:
            raise _refused(inner, place)
    joined = _joined(texts, b"\\n")
    return (Raw(b'"Error: ' + bytes(joined)[1:]) if block.is_error else joined), images


def _image(block: _Block, where: str) -> Json:
    source = typed(_decode_source, block.source, f"{where}.source")
    if source.type == "url":
        url = text(source.url, f"{where}.source.url")
    elif source.type == "base64":
        kind = text(source.media_type, f"{where}.source.media_type")
        data = text(source.data, f"{where}.source.data")
        url = Raw(b'"data:%b;base64,%b' % (bytes(kind)[1:-1], bytes(data)[1:]))
    else:
        raise InvalidRequest(
            f"{where}.source of type {shown(source.type)} cannot be sent to this model's backend: base64 and url can",
            param=f"{where}.source",
        )
    return {"type": "image_url", "image_url": {"url": url}}


def _texts(content: Raw, where: str, between: bytes) -> Raw:
    """A content that may hold text only, as one string."""
    texts = []
    for place, block in _blocks(content, where):
        if block.type != "text":
            raise _refused(block, place)
        texts.append(text(block.text, f"{place}.text"))
    return _joined(texts, between)


def _joined(texts: list[Raw], between: bytes) -> Raw:
    """JSON strings as one, `between` (escaped as in JSON) put between them."""
    if len(texts) == 1:
        return texts[0]
    return Raw(b'"' + between.join(bytes(each)[1:-1] for each in texts) + b'"')


def is_text(raw: Raw) -> bool:
    """Is this JSON value a string?"""
    return memoryview(raw)[0] == _QUOTE


def text(raw: Raw, where: str) -> Raw:
    """A JSON value that must be a string, as it is."""
    if not is_text(raw):
        raise InvalidRequest(f"{where} must be a string", param=where)
    return raw


def _refused(block: _Block, where: str) -> InvalidRequest:
    return InvalidRequest(
        f"{where}: a block of type {shown(block.type)} cannot be sent here to this model's backend, "
        "which speaks chat completions only",
        param=where,
    )

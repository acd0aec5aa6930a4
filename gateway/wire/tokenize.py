"""How a backend is asked to count the input of a call, for those that can: vLLM's `/tokenize`, and the count of
Anthropic's messages. Only what the backend would prompt its model with, to the token; where a call holds anything that
such a count leaves out, there is no question to ask.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import body as wire_body
from gateway.wire.call import Call
from gateway.wire.messages import to_chat
from gateway.wire.messages.codec import COUNT

PATH: Final = b"/tokenize"
TOOL: Final = b'{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}'
_USER: Final = b'{"role":"user","content":"a"}'
_ASSISTANT: Final = b'{"role":"assistant","content":"a"}'
EXAMPLES: Final = (
    b'"messages":[%b]' % _USER,
    b'"messages":[%b,%b,%b]' % (_USER, _ASSISTANT, _USER),
    b'"messages":[%b],"tools":[%b]' % (_USER, TOOL),
    b'"messages":[%b],"tools":[%b,%b]' % (_USER, TOOL, TOOL),
)
"""Chats with next to no text, whose counts tell what a template adds: a message, two more, a tool, one more."""
_ASKED: Final = (
    "messages",
    "tools",
    "chat_template_kwargs",
    "add_generation_prompt",
    "continue_final_message",
    "add_special_tokens",
)
"""What a count of a chat takes of it."""
_UNCOUNTED: Final = frozenset(("documents", "functions", "reasoning_effort", "thinking", "output_config"))
"""Fields that a chat template may put into the prompt, and that a count does not know."""
_MEDIA: Final = (
    b'"image',
    b'"input_image',
    b'"input_audio',
    b'"audio',
    b'"video',
    b'"document',
    b'"file',
    b'"input_file',
)
"""What is no text is counted as nothing."""
_TEXT: Final = ord('"')


class _Counted(msgspec.Struct, gc=False):
    count: Annotated[int, msgspec.Meta(ge=0)] | None = None
    input_tokens: Annotated[int, msgspec.Meta(ge=0)] | None = None


_decode: Final = msgspec.json.Decoder(_Counted).decode


def question(call: Call, served_model: str, served_model_json: bytes, *, native: bool) -> tuple[bytes, bytes] | None:
    """The path and the body that ask for the count; None where this call cannot be counted. `native`: the backend
    speaks the caller's format.
    """
    fields = call.fields
    if not _UNCOUNTED.isdisjoint(fields) or any(kind in call.body for kind in _MEDIA):
        return None
    name = {"model": served_model_json}
    match call.endpoint:
        case "chat":
            return PATH, wire_body.join({each: fields[each] for each in _ASKED if each in fields}, name)
        case "completions" | "embeddings":
            text = fields["prompt" if call.endpoint == "completions" else "input"]
            if memoryview(text)[0] != _TEXT:  # several texts, or tokens
                return None
            given = {each: fields[each] for each in ("add_special_tokens",) if each in fields}
            return PATH, wire_body.join({**given, "prompt": text}, name)
        case "messages" if "chat_template_kwargs" in fields:
            return None
        case "messages" if native:
            return COUNT.native.path, COUNT.native.outgoing(call, served_model, served_model_json, {})
        case "messages":
            try:
                return PATH, to_chat.outgoing_count(call, served_model, served_model_json, {})
            except InvalidRequest:  # told when it is sent
                return None
    return None


def examples(served_model_json: bytes) -> list[bytes]:
    """The bodies that ask `PATH` to count `EXAMPLES` for this model."""
    return [b'{"model":%b,%b}' % (served_model_json, example) for example in EXAMPLES]


def counted(answer: bytes) -> int | None:
    """The count that a backend answered with; None for what is none."""
    try:
        found = _decode(answer)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found.input_tokens if found.count is None else found.count

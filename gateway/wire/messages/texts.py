"""Which text a block of a message holds, and what of a block may stand beside it.

No check reads what a citation quotes, so blocks are said again without their citations. A block of another type (what a
tool said that the backend ran, and types to come) is read as a JSON document: all of its strings and numbers.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.wire import json_values
from gateway.wire.edits import OUTPUT, TOOL_CALL

Json = dict[str, Any]

REFUSAL: Final = "refusal"
"""The `stop_reason` of a message that a classifier cut off, as Anthropic documents it ("Streaming refusals")."""


class Read(NamedTuple):
    """How a block is read."""

    kind: str
    """As in `edits.Channel`."""
    phase: str
    member: str
    """That holds the text; "" for all of the block."""
    delta: str
    """The type of the deltas it grows by, and their member; "" when it comes whole."""
    delta_member: str
    is_json: bool = False


TEXT: Final = Read("content", OUTPUT, "text", "text_delta", "text")
THINKING: Final = Read("reasoning", OUTPUT, "thinking", "thinking_delta", "thinking")
CALL: Final = Read("arguments", TOOL_CALL, "input", "input_json_delta", "partial_json", is_json=True)
OTHER: Final = Read("content", OUTPUT, "", "", "", is_json=True)

_READ: Final = {"text": TEXT, "thinking": THINKING, "tool_use": CALL, "server_tool_use": CALL, "mcp_tool_use": CALL}
_SEALED: Final = "redacted_thinking"
_NAMES: Final = ("type", "id", "tool_use_id")
_CALL_NAMES: Final = ("type", "id", "name", "server_name", "caller")
"""What stands beside the texts."""


def read_as(block: Json) -> Read | None:
    """None for thinking that is sealed, which only its maker can read."""
    kind = block.get("type")
    return None if kind == _SEALED else _READ.get(kind, OTHER) if isinstance(kind, str) else OTHER


def tool_of(block: Json) -> str:
    """The tool that a block calls; "" for none."""
    name = block.get("name")
    return name if isinstance(name, str) else ""


def text_of(block: Json, read: Read) -> str:
    """The text of a whole block, or that it begins with; that of JSON is a document. Raises ValueError for none."""
    if read is OTHER:
        return json_values.written({name: value for name, value in block.items() if name not in _NAMES}).decode()
    if read is CALL:
        return json_values.written(block.get("input", {})).decode()
    text = block.get(read.member, "")
    if not isinstance(text, str):
        raise ValueError(read.member)
    return text


def empty(block: Json, read: Read | None) -> Json:
    """The block before it has any text."""
    if read is TEXT:
        return {"type": "text", "text": ""}
    if read is THINKING:
        return {"type": "thinking", "thinking": "", "signature": ""}
    if read is CALL:
        return {**_chosen(block, _CALL_NAMES), "input": {}}
    return _chosen(block, _NAMES if read is not None else (*_NAMES, "data"))


def filled(block: Json, read: Read, text: str) -> Json | None:
    """The block with this text; None when the text is no document where it must be one."""
    if read is CALL or read is OTHER:
        try:
            value = json_values.read(text.encode("utf-8", "surrogatepass"))
        except ValueError:
            return None
        if not isinstance(value, dict):
            return None
        return {**empty(block, read), **({"input": value} if read is CALL else value)}
    signature = block.get("signature") if text == block.get("thinking") else None
    return {**empty(block, read), read.member: text, **({"signature": signature} if signature is not None else {})}


def _chosen(block: Json, names: tuple[str, ...]) -> Json:
    return {name: block[name] for name in names if name in block}

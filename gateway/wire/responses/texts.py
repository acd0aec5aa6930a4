"""Which texts an item of a Response holds, by which events they grow, and what may stand beside them.

No check reads what an annotation quotes or which tokens a text was made of, so both are left out, and so are parts of a
message of another type. An item of another type is read as a JSON document: all of its strings and numbers.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from gateway.wire import json_values
from gateway.wire.edits import OUTPUT, TOOL_CALL

Json = dict[str, Any]


class Read(NamedTuple):
    """How one text is read."""

    kind: str
    """As in `edits.Channel`."""
    phase: str
    part: str
    """The type of the part that is the text; "" when it is a member of the item."""
    member: str
    event: str
    """Its events, but for `.delta` and `.done`."""
    at: str = ""
    """What its events call its place among the parts of `parts`."""
    parts: str = ""
    """The member of the item that lists the parts."""
    part_event: str = ""
    is_json: bool = False


_CONTENT: Final = ("content_index", "content", "response.content_part")
_SUMMARY: Final = ("summary_index", "summary", "response.reasoning_summary_part")

PARTS: Final = {
    read.part: read
    for read in (
        Read("content", OUTPUT, "output_text", "text", "response.output_text", *_CONTENT),
        Read("refusal", OUTPUT, "refusal", "refusal", "response.refusal", *_CONTENT),
        Read("reasoning", OUTPUT, "summary_text", "text", "response.reasoning_summary_text", *_SUMMARY),
        Read("reasoning", OUTPUT, "reasoning_text", "text", "response.reasoning_text", *_CONTENT),
    )
}
CALLS: Final = {
    "function_call": Read("arguments", TOOL_CALL, "", "arguments", "response.function_call_arguments", is_json=True),
    "custom_tool_call": Read("arguments", TOOL_CALL, "", "input", "response.custom_tool_call_input"),
}
"""By the type of their item: calls that the caller answers."""

LISTS: Final = {"message": ("content",), "reasoning": ("summary", "content")}
"""By the type of an item made of parts: its lists of them."""

BY_DELTA: Final = {f"{read.event}.delta": read for read in (*PARTS.values(), *CALLS.values())}
BY_DONE: Final = {f"{read.event}.done": read for read in (*PARTS.values(), *CALLS.values())}

_KEPT: Final = (
    *("id", "type", "role", "status", "phase", "call_id", "name", "namespace", "caller", "async", "encrypted_content"),
)
_NAMES: Final = ("id", "type", "status", "call_id", "encrypted_content")
_IMAGE: Final = ("image_generation_call", "result")  # pictures are not read
_RUN_BY_CALLER: Final = frozenset(
    ("computer_call", "local_shell_call", "shell_call", "apply_patch_call", "mcp_approval_request")
)

FILTERED: Final[Json] = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
"""What a Response says of itself whose text was blocked."""


def kept(item: Json) -> Json:
    """What stands beside the texts of an item."""
    return {name: item[name] for name in _KEPT if name in item}


def tool_of(item: Json) -> str:
    """The tool that an item has the caller run; "" for none."""
    kind, name = item.get("type"), item.get("name")
    if kind in _RUN_BY_CALLER:
        return name if isinstance(name, str) else str(kind).removesuffix("_call")
    return name if kind in CALLS and isinstance(name, str) else ""


def of_document(item: Json) -> Read:
    """How an item of another type is read, whole."""
    if item.get("type") in _RUN_BY_CALLER:
        return Read("arguments", TOOL_CALL, "", "", "", is_json=True)
    return Read("content", OUTPUT, "", "", "", is_json=True)


def document(item: Json) -> str:
    """The text of an item of another type."""
    return json_values.written({name: value for name, value in item.items() if not _is_name(item, name)}).decode()


def from_document(item: Json, text: str) -> Json | None:
    """The item with this for its text; None when that is no object."""
    try:
        value = json_values.read(text.encode("utf-8", "surrogatepass"))
    except ValueError:
        return None
    return {**{name: item[name] for name in item if _is_name(item, name)}, **value} if isinstance(value, dict) else None


def part(read: Read, text: str) -> Json:
    """A part that is this text."""
    more: Json = {"annotations": [], "logprobs": []} if read.part == "output_text" else {}
    return {"type": read.part, read.member: text, **more}


def listed(item: Json, name: str) -> list[tuple[int, Read, str]]:
    """The texts in one of an item's lists of parts, each with its place. Raises ValueError for what is none."""
    found = item.get(name) or []
    if not isinstance(found, list):
        raise ValueError(name)
    texts = []
    for index, each in enumerate(found):
        if not isinstance(each, dict):
            raise ValueError(name)
        read = PARTS.get(str(each.get("type")))
        if read is not None and read.parts == name:
            texts.append((index, read, string(each, read.member)))
    return texts


def string(values: Json, name: str) -> str:
    """A member that is a text, "" when there is none. Raises ValueError for another."""
    found = values.get(name, "")
    if not isinstance(found, str):
        raise ValueError(name)
    return found


def without_texts(response: Json) -> Json:
    """A Response without what it says; vLLM shows the prompt and all tokens in two members of its own."""
    hidden: Json = {name: None for name in ("input_messages", "output_messages") if name in response}
    said = {name: value for name, value in response.items() if name != "output_text"}
    return {**said, **hidden, "output": []}


def joined(output: list[Json]) -> str:
    """What SDKs call `output_text`."""
    parts = [part for item in output if item.get("type") == "message" for part in item["content"]]
    return "".join(part["text"] for part in parts if part["type"] == "output_text")


def _is_name(item: Json, name: str) -> bool:
    return name in _NAMES or (item.get("type"), name) == _IMAGE

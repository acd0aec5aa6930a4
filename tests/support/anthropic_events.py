"""The events of an Anthropic stream put together again, as a client does, and the order they must come in."""

from __future__ import annotations

import json
from typing import Any

from gateway.wire import sse


def accumulate(stream: bytes) -> Any:
    """The message a stream tells; parts of a tool's input must be JSON when its block ends."""
    message: dict[str, Any] = {}
    parts: list[str] = []
    for event in map(json.loads, sse.payloads(stream)):
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
                parts = []
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                match delta["type"]:
                    case "text_delta":
                        block["text"] += delta["text"]
                    case "thinking_delta":
                        block["thinking"] += delta["thinking"]
                    case "signature_delta":
                        block["signature"] = delta["signature"]
                    case "input_json_delta":
                        parts.append(delta["partial_json"])
            case "content_block_stop":
                if parts:
                    message["content"][event["index"]]["input"] = json.loads("".join(parts))
                    parts = []
            case "message_delta":
                message |= event["delta"]
                message["usage"] |= event["usage"]
    return message


def check_order(stream: bytes) -> None:
    """Asserts one start, blocks that begin and end one after another, one delta, one stop."""
    opened: int | None = None
    blocks = 0
    seen: list[str] = []
    for event in map(json.loads, sse.payloads(stream)):
        kind = event["type"]
        match kind:
            case "content_block_start":
                assert opened is None
                assert event["index"] == blocks
                opened, blocks = blocks, blocks + 1
            case "content_block_delta":
                assert event["index"] == opened
            case "content_block_stop":
                assert event["index"] == opened
                opened = None
            case _:
                assert opened is None
                seen.append(kind)
    assert seen == ["message_start", "message_delta", "message_stop"]

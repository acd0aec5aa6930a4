"""Records what real servers put on the wire, for the unit tests of the formats and of the relay.

`python -m tests.support.wire_samples http://127.0.0.1:PORT MODEL OUT_DIR [KEY [NAME…]]` asks a running server and
writes one file per answer, or for the names given, into OUT_DIR: the body as sent, chunk framing removed (`.sse` for
streams, `.json` otherwise), and `index.json` with path, request, status and content type of each. It starts no server
and checks nothing: tests do. An empty KEY is none.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SAMPLES = Path(__file__).parent / "samples"

_MESSAGES = [{"role": "user", "content": "Say hello."}]
_SHORT = {"max_tokens": 4, "temperature": 0}
_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
_WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
_CHAT, _TEXT, _EMBED = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
_RESPONSES = "/v1/responses"
_RESPONSES_SHORT = {"input": "Say hello.", "max_output_tokens": 4, "temperature": 0, "store": False}
_RESPONSES_TOOL = {
    "tools": [{"type": "function", **_WEATHER["function"], "strict": True}],
    "tool_choice": {"type": "function", "name": "weather"},
    "max_output_tokens": 40,
}
_ANTHROPIC, _COUNT = "/v1/messages", "/v1/messages/count_tokens"
_ANTHROPIC_TOOL = {
    "tools": [
        {
            "name": "weather",
            "description": "The weather in a city.",
            "input_schema": {
                "type": "object",
                "properties": {"city": {"type": "string", "enum": ["Oslo", "Rome"]}},
                "required": ["city"],
                "additionalProperties": False,
            },
        }
    ],
    "tool_choice": {"type": "tool", "name": "weather"},
    "max_tokens": 40,
}
_TOOL = {"tools": [_WEATHER], "tool_choice": {"type": "function", "function": {"name": "weather"}}, "max_tokens": 40}

REQUESTS: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": (_CHAT, {"messages": _MESSAGES, **_SHORT}),
    "chat_logprobs": (_CHAT, {"messages": _MESSAGES, **_SHORT, "logprobs": True, "top_logprobs": 2}),
    "chat_tool": (_CHAT, {"messages": _MESSAGES, "temperature": 0, **_TOOL}),
    "chat_stream": (_CHAT, {"messages": _MESSAGES, **_SHORT, "stream": True}),
    "chat_stream_usage": (_CHAT, {"messages": _MESSAGES, **_SHORT, **_USAGE}),
    "chat_stream_continuous_usage": (
        _CHAT,
        {
            "messages": _MESSAGES,
            **_SHORT,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        },
    ),
    "chat_stream_n_logprobs": (
        _CHAT,
        {"messages": _MESSAGES, "max_tokens": 3, "seed": 7, "n": 2, "logprobs": True, "top_logprobs": 1, **_USAGE},
    ),
    "chat_stream_tool": (_CHAT, {"messages": _MESSAGES, "temperature": 0, **_TOOL, **_USAGE}),
    "completion": (_TEXT, {"prompt": "Once upon", **_SHORT}),
    "completion_tokens": (_TEXT, {"prompt": [5, 6, 7], **_SHORT, "logprobs": 1}),
    "completion_stream_usage": (_TEXT, {"prompt": "Once upon", **_SHORT, **_USAGE}),
    "error_temperature": (_CHAT, {"messages": _MESSAGES, **_SHORT, "temperature": -1}),
    "error_type": (_CHAT, {"messages": _MESSAGES, "temperature": "hot"}),
    "error_no_messages": (_CHAT, {}),
    "error_too_long": (_CHAT, {"messages": [{"role": "user", "content": "word " * 6000}], "max_tokens": 4}),
    "error_max_tokens": (_TEXT, {"prompt": "Once upon", "max_tokens": 100_000, "stop": ["e"]}),
    "error_stream_temperature": (_CHAT, {"messages": _MESSAGES, **_SHORT, "temperature": -1, **_USAGE}),
    "error_model": (_CHAT, {"model": "no-such-model", "messages": _MESSAGES, **_SHORT}),
    "error_image": (
        _CHAT,
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "What is this?"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
                    ],
                }
            ],
            **_SHORT,
        },
    ),
    "embeddings": (_EMBED, {"input": "hello"}),
    "messages": (_ANTHROPIC, {"messages": _MESSAGES, **_SHORT}),
    "messages_stream": (_ANTHROPIC, {"messages": _MESSAGES, **_SHORT, "stream": True}),
    "messages_tool": (_ANTHROPIC, {"messages": _MESSAGES, "temperature": 0, **_ANTHROPIC_TOOL}),
    "messages_stream_tool": (_ANTHROPIC, {"messages": _MESSAGES, "temperature": 0, **_ANTHROPIC_TOOL, "stream": True}),
    "messages_count": (_COUNT, {"messages": _MESSAGES}),
    "messages_error": (_ANTHROPIC, {"messages": _MESSAGES, "temperature": -1, "max_tokens": 4}),
    "messages_error_type": (_ANTHROPIC, {"messages": _MESSAGES, "temperature": "hot", "max_tokens": 4}),
    "messages_error_too_long": (
        _ANTHROPIC,
        {"messages": [{"role": "user", "content": "word " * 6000}], "max_tokens": 4},
    ),
    "messages_error_stream_too_long": (
        _ANTHROPIC,
        {"messages": [{"role": "user", "content": "word " * 6000}], "max_tokens": 4, "stream": True},
    ),
    "responses": (_RESPONSES, _RESPONSES_SHORT),
    "responses_stream": (_RESPONSES, {**_RESPONSES_SHORT, "stream": True}),
    "responses_tool": (_RESPONSES, {**_RESPONSES_SHORT, **_RESPONSES_TOOL}),
    "responses_stream_tool": (_RESPONSES, {**_RESPONSES_SHORT, **_RESPONSES_TOOL, "stream": True}),
    "responses_error": (_RESPONSES, {**_RESPONSES_SHORT, "temperature": -1}),
    "responses_error_stream": (_RESPONSES, {**_RESPONSES_SHORT, "temperature": -1, "stream": True}),
}


def ask(url: str, method: str, path: str, body: bytes | None, key: str | None) -> tuple[int, str, bytes]:
    """Status, content type and whole body of one request."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "127.0.0.1", at.port, timeout=120)
    headers = {"content-type": "application/json"} if body is not None else {}
    if key is not None:
        headers["authorization"] = f"Bearer {key}"
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("content-type", ""), answer.read()
    finally:
        connection.close()


def record(url: str, model: str, out: Path, key: str | None, names: Collection[str]) -> None:
    """Writes the answers to REQUESTS, the model list, and a refused key (where the server has keys) into `out`; with
    `names`, only those.
    """
    out.mkdir(parents=True, exist_ok=True)
    index: dict[str, Any] = json.loads((out / "index.json").read_text()) if names else {}
    calls = [(name, "POST", path, {"model": model, **body}) for name, (path, body) in REQUESTS.items()]
    for name, method, path, body in [
        *calls,
        ("models", "GET", "/v1/models", None),
        ("error_path", "GET", "/v1/none", None),
    ]:
        if names and name not in names:
            continue
        sent = None if body is None else json.dumps(body).encode()
        status, content_type, answer = ask(url, method, path, sent, key)
        file = f"{name}.{'sse' if 'event-stream' in content_type else 'json'}"
        (out / file).write_bytes(answer)
        shown = body if sent is None or len(sent) < 2000 else "(too long to keep)"
        index[file] = {"request": [method, path, shown], "status": status, "content_type": content_type}
    if key is not None and not names:
        status, content_type, answer = ask(url, "GET", "/v1/models", None, "wrong")
        (out / "error_key.json").write_bytes(answer)
        index["error_key.json"] = {
            "request": ["GET", "/v1/models", None],
            "status": status,
            "content_type": content_type,
        }
    (out / "index.json").write_text(json.dumps(index, indent=1) + "\n")


if __name__ == "__main__":
    record(
        sys.argv[1],
        sys.argv[2],
        SAMPLES / sys.argv[3],
        sys.argv[4] or None if len(sys.argv) > 4 else None,
        sys.argv[5:],
    )

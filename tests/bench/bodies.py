"""The requests that are sent: a chat of 2 KB, the same as a stream, and a chat of 1 MB with images."""

from __future__ import annotations

import base64
import json
import random

ALIAS = "chat"  # what callers say
SERVED_MODEL = "mock-model"  # what the upstream calls it: a gateway has to change the body
CHAT_BYTES = 2048
IMAGES_BYTES = 1_000_000

_SENTENCE = "Please summarise the following paragraph for a reader who has two minutes and wants the numbers. "


def chat_body(model: str = ALIAS, *, stream: bool = False) -> bytes:
    """A chat request of 2,048 bytes: system, two turns of history, a question."""
    request: dict[str, object] = {
        "model": model,
        "messages": [
            {"role": "system", "content": "You are a careful assistant."},
            {"role": "user", "content": "Hello \u2013 are you there?"},
            {"role": "assistant", "content": "Yes. What can I do?"},
            {"role": "user", "content": ""},
        ],
        "temperature": 0.2,
        "max_tokens": 256,
    }
    if stream:
        request["stream"] = True
    missing = CHAT_BYTES - len(_dump(request))
    messages = request["messages"]
    assert isinstance(messages, list)
    messages[3]["content"] = (_SENTENCE * (missing // len(_SENTENCE) + 1))[:missing]
    return _dump(request)


def images_body(model: str = ALIAS) -> bytes:
    """A chat request of about 1 MB: two base64 images and a question."""
    noise = random.Random(1)
    image = base64.b64encode(noise.randbytes(IMAGES_BYTES * 3 // 8)).decode()
    part = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{image}"}}
    text = {"type": "text", "text": "What differs between these images?"}
    return _dump({"model": model, "messages": [{"role": "user", "content": [text, part, part]}], "max_tokens": 256})


def _dump(request: object) -> bytes:
    """Without spaces, as OpenAI's SDKs send it."""
    return json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()

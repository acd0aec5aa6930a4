"""What a model that judges texts is asked, and what its answer means: `safe` or `unsafe` and the hazards, as Llama
Guard says it (Inan et al., 2023, arXiv:2312.06674), or a number from 0 to 1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from gateway.errors import UpstreamProtocol
from gateway.wire import chat_chunks
from gateway.wire.usage import Usage

PATH: Final = b"/v1/chat/completions"
MOST_TOKENS: Final = 32
"""A verdict is short."""


class Judgement(NamedTuple):
    """What an answer says, and used."""

    score: float | None
    """1 for unsafe, 0 for safe, or the number the model said; None for an answer that is no judgement."""
    usage: Usage | None


_encode: Final = msgspec.json.Encoder().encode


def question(served_model: str, text: str) -> bytes:
    """The body that has the model judge this text. Halves of surrogate pairs are replaced."""
    said = text.encode("utf-8", "replace").decode("utf-8")
    return _encode(
        {
            "model": served_model,
            "messages": [{"role": "user", "content": said}],
            "max_tokens": MOST_TOKENS,
            "temperature": 0,
        }
    )


def read(body: bytes) -> Judgement:
    """An answer."""
    try:
        answer = chat_chunks.read_answer(body)
    except UpstreamProtocol:
        return Judgement(None, None)
    return Judgement(score(answer.said.content), answer.usage)


def score(said: str) -> float | None:
    """What a text says that is a judgement: see `Judgement`."""
    words = said.split()
    first = words[0].strip(".,:;\"'").lower() if words else ""
    if first in ("safe", "unsafe"):
        return float(first == "unsafe")
    try:
        number = float(first)
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None

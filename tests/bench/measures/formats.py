"""What a translated format costs: the translator alone, in this process, a chunk at a time as a backend sends them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from statistics import median

from gateway.wire.messages import codec as messages
from tests.bench.lab import Lab
from tests.bench.rows import Measured
from tests.bench.stats import spread

CHUNKS = 200
STREAMS_PER_ROUND = 100
ROUNDS = 9


def measure_messages(lab: Lab) -> Mapping[str, Measured]:
    """CPU of chat chunks read and Anthropic events written; begin and end of the stream are part of it."""
    form = messages.CODEC.translated
    assert form is not None
    call = messages.CODEC.parse(
        b'{"model":"m","max_tokens":256,"stream":true,"messages":[{"role":"user","content":"hello"}]}',
        b"application/json",
    )
    chunks = _chunks()
    rounds = []
    for _ in range(ROUNDS):
        begun_ns = time.process_time_ns()
        for _ in range(STREAMS_PER_ROUND):
            passing = form.relay(call)
            sent = b"".join([*map(passing.feed, chunks), passing.finish()])
            assert sent.endswith(b'data: {"type":"message_stop"}\n\n')
        rounds.append((time.process_time_ns() - begun_ns) / 1e3 / (STREAMS_PER_ROUND * CHUNKS))
    return {"messages_translate_us_per_chunk": Measured(median(rounds), {"us_per_chunk": spread(rounds)})}


def _chunks() -> list[bytes]:
    """A stream of words, as vLLM frames it."""

    def frame(**more: object) -> bytes:
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": "m"}
        return b"data: " + json.dumps({**head, **more}, separators=(",", ":")).encode() + b"\n\n"

    def choice(delta: object, reason: str | None = None) -> list[object]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    words = [frame(choices=choice({"content": f" word{number}"})) for number in range(CHUNKS - 2)]
    usage = {"prompt_tokens": 20, "total_tokens": 20 + CHUNKS, "completion_tokens": CHUNKS}
    return [
        frame(choices=choice({"role": "assistant", "content": ""})),
        *words,
        frame(choices=choice({}, "stop")),
        frame(choices=[], usage=usage) + b"data: [DONE]\n\n",
    ]

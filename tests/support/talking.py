"""One request through a gateway to one scripted upstream, and what the bytes of its answer say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gateway.backends.base import DIALECTS
from gateway.store.records import Record
from tests.support.gateway import CHAT, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import Script, Upstream

LIMITS = {"connect_s": 0.5, "first_byte_s": 0.2, "idle_s": 0.2, "total_s": 2.0, "answer": 100_000}


def talk(
    tmp_path: Path,
    scripts: list[Script],
    request: dict[str, Any] | bytes = CHAT,
    *,
    path: str = "/v1/chat/completions",
    content_type: bytes = b"application/json",
    kind: str = "vllm",
    **options: Any,
) -> tuple[bytes, list[Record], Upstream]:
    """One request through a gateway to one scripted endpoint, spoken to as this kind of backend is: the answer, the
    records, the upstream.
    """

    async def main() -> tuple[bytes, list[Record], Upstream]:
        async with Upstream(scripts) as upstream:
            limits = {**LIMITS, **options.pop("limits", {})}
            async with serving(config({"b": [upstream.url]}, limits=limits, **options), tmp_path) as gateway:
                gateway.gw.backends["b"].dialect = DIALECTS[kind]
                answer = await gateway.raw(post(request, path=path, content_type=content_type))
                await until(lambda: gateway.gw.in_flight == 0, "requests end")
                assert gateway.gw.backends["b"].endpoints[0].view.outstanding == 0
                return answer, gateway.records(), upstream

    return run(main())


def status(answer: bytes) -> int:
    """The status of the first answer in `answer`."""
    return int(answer.split(b" ", 2)[1])


def body(answer: bytes) -> bytes:
    """The body of the one answer in `answer`, its chunks joined."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    if b"transfer-encoding: chunked" not in head:
        return rest
    out = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        out, rest = out + rest[:length], rest[length + 2 :]
        if length == 0:
            break
    return out


def error(answer: bytes) -> dict[str, Any]:
    """What an answer that is an error says."""
    found: dict[str, Any] = json.loads(body(answer))["error"]
    return found


def error_frame(answer: bytes) -> dict[str, Any]:
    """What the last frame of a stream that broke says."""
    last = [line for line in body(answer).split(b"\n\n") if line][-1]
    found: dict[str, Any] = json.loads(last.removeprefix(b"data: "))["error"]
    return found

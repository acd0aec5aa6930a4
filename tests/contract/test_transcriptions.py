"""Forms as real clients write them, the official one and curl, are read, and reach the backend as they were meant."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.wire import multipart
from tests.support import running
from tests.support.gateway import KEY, Running, config, serving
from tests.support.upstream import DONE_FRAME, Seen, Upstream, says, stream, unary

SOUND = bytes(range(256)) * 100
TEXT = unary(b'{"text":"hello","usage":{"type":"duration","seconds":1}}')
CHUNK = b'data: {"object":"transcription.chunk","choices":[{"delta":{"content":"hello"}}]}\n\n'


def through(tmp_path: Path, answer: bytes, ask: Callable[[Running], Awaitable[Any]]) -> tuple[Any, Seen]:
    """What a client got through a gateway, whose backend has another name for the model, and what the backend got."""

    async def main() -> tuple[Any, Seen]:
        async with Upstream([says(answer)]) as upstream, serving(config({"b": [upstream.url]}), tmp_path) as gateway:
            return await ask(gateway), upstream.seen[0]

    return running.run(main())


def form(seen: Seen) -> dict[str, bytes]:
    """The parts the backend got."""
    edge = multipart.boundary((seen.header("content-type") or "").encode())
    return {part.name: seen.body[part.start : part.end] for part in multipart.parts(seen.body, edge)}


@pytest.mark.parametrize("name", ["a.wav", "ä ;= 漢.wav", 'a"b.wav'])
def test_the_official_clients_form_is_read(tmp_path: Path, name: str) -> None:
    async def ask(gateway: Running) -> Any:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as client:
            return await client.audio.transcriptions.create(
                model="m", file=(name, SOUND), language="fr", timestamp_granularities=["word"], temperature=0.5
            )

    answer, seen = through(tmp_path, TEXT, ask)
    assert answer.text == "hello"
    sent = form(seen)
    assert (sent["model"], sent["file"], sent["language"], sent["temperature"]) == (b"served", SOUND, b"fr", b"0.5")
    assert sent["timestamp_granularities[]"] == b"word"


def test_the_official_clients_stream_is_streamed(tmp_path: Path) -> None:
    async def ask(gateway: Running) -> Any:
        async with openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=KEY, max_retries=0) as client:
            found = await client.audio.transcriptions.create(model="m", file=("a.wav", SOUND), stream=True)
            return [event async for event in found]

    events, seen = through(tmp_path, stream([CHUNK, DONE_FRAME]), ask)
    assert len(events) == 1
    assert form(seen)["stream"] == b"true"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curls_form_is_read(tmp_path: Path) -> None:
    sound = tmp_path / 'a "b";c.wav'
    sound.write_bytes(SOUND)

    async def ask(gateway: Running) -> bytes:
        quoted = str(sound).replace("\\", "\\\\").replace('"', '\\"')
        fields = ("-F", f'file=@"{quoted}"', "-F", "model=m", "-F", "response_format=json")
        address = f"{gateway.url}/v1/audio/transcriptions"
        curl = await asyncio.create_subprocess_exec(
            *("curl", "-sS", "-H", f"authorization: Bearer {KEY}", *fields, address), stdout=asyncio.subprocess.PIPE
        )
        return (await curl.communicate())[0]

    answer, seen = through(tmp_path, TEXT, ask)
    assert b"hello" in answer
    assert form(seen) == {"file": SOUND, "model": b"served", "response_format": b"json"}

"""Callers that do not read what they asked for: they stall themselves, and nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from gateway.clock import within
from tests.support.gateway import CHAT, STREAM, Running, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import DONE_FRAME, LAST_CHUNK, STREAM_HEAD, Script, Talk, Upstream, chunk, says, unary

FRAME = b"data: " + b"x" * 65_000 + b"\n\n"

UNENDED = b"data: " + b"x" * 900_000
"""A frame that nothing ends is held back and sent when the stream is over: at once, into a buffer that may be full."""


def frames(count: int, last: bytes = DONE_FRAME) -> Script:
    async def script(talk: Talk) -> None:
        await talk.send(STREAM_HEAD)
        for _ in range(count):
            await talk.send(chunk(FRAME))
        await talk.send(chunk(last) + LAST_CHUNK)

    return script


async def stalls(gateway: Running, request_: dict[str, Any]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A caller that asks and reads nothing of the answer but its first bytes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=2**12)
    writer.write(post(request_, close=False))
    await reader.readexactly(12)
    return reader, writer


def test_a_stream_that_ended_into_a_full_buffer_does_not_stall_the_connections_next_stream(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream([frames(1)]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            for count in range(40, 140, 4):  # some of them end just when their caller's buffer is all but full
                upstream.scripts[:] = [frames(count, UNENDED)]
                _, stalled = await stalls(gateway, STREAM)
                upstream.scripts[:] = [frames(3)]
                for _ in range(2):
                    answer = await within(gateway.raw(post(STREAM)), 10)
                    assert DONE_FRAME in answer
                    assert answer.endswith(LAST_CHUNK)
                stalled.transport.abort()
                await until(lambda: gateway.gw.in_flight == 0, "the stalled one is gone")

    run(main())


def test_a_caller_with_a_full_buffer_is_not_sent_its_next_stream_either(tmp_path: Path) -> None:
    """A whole answer goes out in one write, so it may leave the buffer full and the next request throttled from its
    first byte.
    """
    sent, count = 0, 480  # 30 MB

    async def floods(talk: Talk) -> None:
        nonlocal sent
        await talk.send(STREAM_HEAD)
        for _ in range(count):
            await talk.send(chunk(FRAME))
            sent += 1
        await talk.send(chunk(DONE_FRAME) + LAST_CHUNK)

    async def main() -> None:
        async with (
            Upstream([says(unary(b"[" + b"1," * 8_000_000 + b"1]")), floods]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            reader, writer = await stalls(gateway, CHAT)
            connection: Any = next(iter(gateway.gw.connections))
            full = connection.transport.get_write_buffer_size()
            writer.write(post(STREAM))
            await until(lambda: len(upstream.seen) == 2, "the stream is asked for")
            before = -1
            while sent != before:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.1)
            assert connection.transport.get_write_buffer_size() < full + 2_000_000
            assert sent < count / 2, "the gateway took in what its caller did not read"
            rest = await reader.read(-1)
            assert rest.endswith(LAST_CHUNK)
            writer.close()

    run(main())

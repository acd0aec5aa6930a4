"""Callers that leave, or read slowly: the backend stops, or waits."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.dataplane.server import ServerConnection
from gateway.store.records import Record
from tests.support.gateway import CHAT, STREAM, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import DONE_FRAME, FRAMES, LAST_CHUNK, STREAM_HEAD, Talk, Upstream, chunk, hangs, unary


@pytest.mark.parametrize("request_", [CHAT, STREAM], ids=["unary", "streamed"])
@pytest.mark.parametrize("sent", [b"", STREAM_HEAD + chunk(FRAMES[0])], ids=["before the answer", "within it"])
def test_a_caller_that_leaves_cancels_the_backend_at_once(
    tmp_path: Path, request_: dict[str, Any], sent: bytes
) -> None:
    if sent and request_ is CHAT:
        sent = unary()[:-5]

    async def main() -> list[Record]:
        async with (
            Upstream([hangs(sent)]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(post(request_))
            await upstream.arrived.wait()
            writer.close()
            await upstream.aborted.wait()
            await until(lambda: gateway.gw.in_flight == 0, "the request ends")
            assert gateway.gw.backends["b"].endpoints[0].view.outstanding == 0
            return gateway.records()

    records = run(main())
    assert [(r.outcome, r.code) for r in records] == [("cancelled", "cancelled")]


def test_a_reader_that_stalls_makes_no_memory_grow_and_gets_all_of_it_when_it_goes_on(tmp_path: Path) -> None:
    frame = b"data: " + b"x" * 65_000 + b"\n\n"
    count = 480  # 30 MB

    sent = 0

    async def floods(wire: Talk) -> None:
        nonlocal sent
        await wire.send(STREAM_HEAD)
        for _ in range(count):
            await wire.send(chunk(frame))
            sent += 1
        await wire.send(chunk(DONE_FRAME) + LAST_CHUNK)

    async def main() -> None:
        async with (
            Upstream([floods]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=2**16)
            writer.write(post(STREAM))
            await reader.readuntil(b"\r\n\r\n")
            before = -1
            while sent != before:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.1)
            assert sent < count / 2, "the gateway took in what its caller did not read"
            (connection,) = gateway.gw.connections
            assert isinstance(connection, ServerConnection)
            assert connection.transport.get_write_buffer_size() < 2_000_000
            got = await reader.read(-1)
            assert len(got) > count * len(frame)
            assert got.endswith(LAST_CHUNK)
            writer.close()

    run(main())


@pytest.mark.parametrize("ends_well", [True, False], ids=["the answer ends", "the backend breaks off after it"])
def test_a_caller_that_hangs_up_on_the_last_frame_had_the_whole_answer_and_a_closed_record(
    tmp_path: Path, ends_well: bool
) -> None:
    go_on = asyncio.Event()

    async def script(wire: Talk) -> None:
        await wire.send(STREAM_HEAD + b"".join(map(chunk, [*FRAMES, DONE_FRAME])))
        await go_on.wait()
        if ends_well:
            await wire.send(LAST_CHUNK)
        wire.close()

    async def main() -> list[Record]:
        async with (
            Upstream([script]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(post(STREAM))
            await reader.readuntil(FRAMES[-1])
            go_on.set()
            await reader.readuntil(DONE_FRAME)
            writer.close()
            return gateway.records()

    assert [(r.outcome, r.code) for r in run(main())] == [("answered", "ok")]

"""The caller leaves, at every moment at which it can: nothing stays behind but a record that says so."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.clock import within
from tests.support.gateway import CHAT, STREAM, Running, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import (
    ANSWER,
    DONE_FRAME,
    FRAMES,
    LAST_CHUNK,
    STREAM_HEAD,
    Script,
    Talk,
    Upstream,
    chunk,
    hangs,
    says,
    stream,
    unary,
)


def nothing_runs(gateway: Running) -> bool:
    return gateway.gw.in_flight == 0 and all(
        endpoint.view.outstanding == 0 for backend in gateway.gw.backends.values() for endpoint in backend.endpoints
    )


async def leaves_no_connection(gateway: Running, upstream: Upstream) -> None:
    """Closes the idle ones; whatever else is open was lost sight of."""
    gateway.gw.backends["b"].close()
    await until(lambda: not upstream._writers, "every connection to the upstream is closed")


async def leave(writer: asyncio.StreamWriter, how: str) -> None:
    if how == "reset":
        writer.transport.abort()
    else:
        writer.close()


MOMENTS: dict[str, tuple[dict[str, Any], bytes]] = {
    "before the head": (CHAT, b""),
    "before a stream's head": (STREAM, b""),
    "within the head": (CHAT, unary()[:20]),
    "within a stream's head": (STREAM, STREAM_HEAD[:30]),
    "within the body": (CHAT, unary()[:-5]),
    "after a stream's head": (STREAM, STREAM_HEAD),
    "within a frame": (STREAM, STREAM_HEAD + chunk(FRAMES[0]) + chunk(FRAMES[1][:10])),
    "within a chunk": (STREAM, STREAM_HEAD + chunk(FRAMES[0])[:-9]),
    "between frames": (STREAM, STREAM_HEAD + chunk(FRAMES[0])),
    "before the last chunk": (STREAM, STREAM_HEAD + chunk(DONE_FRAME)),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_caller_that_leaves_within_the_answer_is_one_cancelled_record_and_a_closed_upstream(
    tmp_path: Path, moment: str, how: str
) -> None:
    request_, sent = MOMENTS[moment]

    async def main() -> None:
        async with (
            Upstream([hangs(sent), says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(post(request_))
            await upstream.arrived.wait()
            await asyncio.sleep(0.02)  # what the upstream sent is taken in
            await leave(writer, how)
            await within(upstream.aborted.wait(), 60)
            await until(lambda: nothing_runs(gateway), "the request ends")
            assert [(r.outcome, r.code) for r in gateway.records()] == [("cancelled", "cancelled")]
            assert gateway.gw.backends["b"].endpoints[0].health.state == "closed"  # not the endpoint's doing
            assert (await gateway.raw(post(CHAT))).endswith(ANSWER)
            await leaves_no_connection(gateway, upstream)

    run(main())


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_caller_that_leaves_before_its_body_is_sent_costs_no_backend_anything(tmp_path: Path, how: str) -> None:
    async def main() -> None:
        async with (
            Upstream([says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(post(CHAT)[:-5])
            await until(lambda: gateway.gw.in_flight == 1, "the request begins")
            await leave(writer, how)
            await until(lambda: nothing_runs(gateway), "the request ends")
            assert [(r.outcome, r.status) for r in gateway.records()] == [("cancelled", 0)]
            assert upstream.seen == []

    run(main())


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A TCP port whose queue of connections is full: the handshake of another one is not answered."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = []
    try:
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
            waiting.append(client)
        yield listener.getsockname()[1]
    finally:
        for client in waiting:
            client.close()
        listener.close()


def test_a_caller_that_leaves_while_the_upstream_is_being_connected_to_ends_at_once(tmp_path: Path) -> None:
    async def main(port: int) -> None:
        found = config({"b": [f"http://127.0.0.1:{port}"]}, limits={"connect_s": 20})
        async with serving(found, tmp_path) as gateway:
            for how in ("close", "reset"):
                _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                writer.write(post(CHAT))
                outstanding = gateway.gw.backends["b"].endpoints[0].view
                await until(lambda view=outstanding: view.outstanding == 1, "the request waits for its connection")
                await leave(writer, how)
                await until(lambda: nothing_runs(gateway), "the request ends")
            assert [(r.outcome, r.attempts[0].status) for r in gateway.records()] == [("cancelled", 0)] * 2

    with full_backlog() as port:
        run(main(port))


def test_an_upstream_that_takes_no_connection_in_time_is_a_504(tmp_path: Path) -> None:
    async def main(port: int) -> None:
        found = config({"b": [f"http://127.0.0.1:{port}"]}, limits={"connect_s": 0.1})
        async with serving(found, tmp_path) as gateway:
            answer = await gateway.raw(post(CHAT))
            assert answer.startswith(b"HTTP/1.1 504")
            assert b"connect_s" in answer

    with full_backlog() as port:
        run(main(port))


def test_a_caller_that_leaves_while_it_is_throttled_frees_the_upstream(tmp_path: Path) -> None:
    frame = b"data: " + b"x" * 60_000 + b"\n\n"

    async def floods(talk: Talk) -> None:
        await talk.send(STREAM_HEAD)
        with contextlib.suppress(ConnectionError):
            for _ in range(1000):
                await talk.send(chunk(frame))
        talk.upstream.aborted.set()

    async def main() -> None:
        async with (
            Upstream([floods]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=2**16)
            writer.write(post(STREAM))
            await reader.readuntil(b"\r\n\r\n")
            connection: Any = next(iter(gateway.gw.connections))
            await until(lambda: connection.transport.get_write_buffer_size() > 2**18, "the caller is throttled")
            writer.transport.abort()
            await within(upstream.aborted.wait(), 60)
            await until(lambda: nothing_runs(gateway), "the request ends")
            assert [r.outcome for r in gateway.records()] == ["cancelled"]

    run(main())


# -- at every turn of the loop

KINDS: dict[str, tuple[dict[str, Any], list[Script]]] = {
    "an answer": (CHAT, [says(unary())]),
    "an answer on a new connection": (CHAT, [says(unary(headers=b"connection: close\r\n"))]),
    "a stream": (STREAM, [says(stream([*FRAMES, DONE_FRAME]))]),
    "a stream on a new connection": (
        STREAM,
        [says(STREAM_HEAD.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n") + chunk(DONE_FRAME) + LAST_CHUNK)],
    ),
    "a failure and a retry": (
        CHAT,
        [says(unary(b"no", status="500 Internal Server Error")), says(unary())] * 200,
    ),
}
TURNS = 40


@pytest.mark.parametrize("name", KINDS)
def test_a_caller_that_leaves_at_any_turn_of_the_loop_leaves_nothing_behind(tmp_path: Path, name: str) -> None:
    request_, scripts = KINDS[name]

    async def main() -> None:
        retries = {"attempts": 2, "share": 1.0}
        async with (
            Upstream(scripts) as upstream,
            serving(config({"b": [upstream.url]}, retries=retries), tmp_path) as gateway,
        ):
            for turns in range(TURNS):
                _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
                await until(lambda: gateway.gw.connections, "the caller is connected")
                connection: Any = next(iter(gateway.gw.connections))
                os.write(writer.get_extra_info("socket").fileno(), post(request_))
                for _ in range(turns):
                    await asyncio.sleep(0)
                connection.transport.abort()
                await until(lambda: not gateway.gw.connections, "the caller is gone")
                await until(lambda: nothing_runs(gateway), "the request ends")
                writer.close()
            records = gateway.records()
            assert len({r.id for r in records}) == len(records) <= TURNS
            assert {r.outcome for r in records} <= {"answered", "cancelled", *(["failed"] if "failure" in name else [])}
            assert "answered" in {r.outcome for r in records}, "more turns are needed to see the end"
            await leaves_no_connection(gateway, upstream)

    run(main())


# -- the process ends


@contextlib.asynccontextmanager
async def begun(tmp_path: Path, request_: dict[str, Any], sent: bytes) -> AsyncIterator[tuple[Running, Any, Any]]:
    """A request that waits for more than `sent`: the gateway, the server's connection of it, the caller's reader."""
    async with (
        Upstream([hangs(sent)]) as upstream,
        serving(config({"b": [upstream.url]}), tmp_path) as gateway,
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(post(request_, close=False))
        await upstream.arrived.wait()
        await asyncio.sleep(0.02)
        (connection,) = gateway.gw.connections
        yield gateway, connection, reader
        await within(upstream.aborted.wait(), 60)
        await until(lambda: nothing_runs(gateway), "the request ends")
        writer.close()


@pytest.mark.parametrize("request_", [CHAT, STREAM], ids=["unary", "streamed"])
def test_a_request_cut_short_by_the_end_of_the_process_is_a_503_and_a_record(
    tmp_path: Path, request_: dict[str, Any]
) -> None:
    async def main() -> None:
        async with begun(tmp_path, request_, b"") as (gateway, connection, reader):
            connection.shutdown()
            gateway.gw.cut()
            answer = await reader.read()
            assert answer.startswith(b"HTTP/1.1 503")
            assert b"connection: close\r\n" in answer
            assert b'"code":"draining"' in answer
            assert [(r.outcome, r.code, r.status) for r in gateway.records()] == [("refused", "draining", 503)]

    run(main())


def test_a_stream_cut_short_by_the_end_of_the_process_says_so_in_band(tmp_path: Path) -> None:
    async def main() -> None:
        async with begun(tmp_path, STREAM, STREAM_HEAD + chunk(FRAMES[0])) as (gateway, connection, reader):
            connection.shutdown()
            gateway.gw.cut()
            answer = await reader.read()
            assert FRAMES[0] in answer
            assert b'"code":"draining"' in answer
            assert answer.endswith(LAST_CHUNK)
            assert [(r.outcome, r.code, r.status) for r in gateway.records()] == [("failed", "draining", 200)]

    run(main())

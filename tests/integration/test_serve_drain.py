"""How a gateway stops: running requests end, nothing new is taken, and whatever happens no process is left over."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from gateway.store.journal_read import Tail, directories
from tests.support.gateway_process import (
    KEY,
    GatewayProcess,
    chat_body,
    descendants,
    launch,
    lives,
    minimal,
    serving,
    until,
    write,
)
from tests.support.running import run
from tests.support.upstream import DONE_FRAME, FRAMES, LAST_CHUNK, STREAM_HEAD, Script, Talk, Upstream, chunk, hangs


def over(upstream: Upstream, **limits: float) -> dict[str, Any]:
    """A configuration whose model `small` is served by `upstream`."""
    return minimal(
        server={"workers": 1, "limits": {"drain_s": 15, **limits}},
        backends={"far": {"kind": "vllm", "endpoints": [{"url": upstream.url}]}},
        models={"small": {"backend": "far"}},
    )


def in_two_parts(go_on: asyncio.Event) -> Script:
    """A stream that sends two frames, and the rest once the test says so."""

    async def script(talk: Talk) -> None:
        await talk.send(STREAM_HEAD + b"".join(map(chunk, FRAMES[:2])))
        await go_on.wait()
        await talk.send(b"".join(map(chunk, [*FRAMES[2:], DONE_FRAME])) + LAST_CHUNK)

    return script


class Stream:
    """A caller in the middle of a streamed answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def begin(cls, gateway: GatewayProcess) -> Stream:
        """Sends the request and reads up to the first content."""
        url = urlsplit(gateway.data)
        reader, writer = await asyncio.open_connection(url.hostname, url.port)
        body = chat_body(stream=True)
        head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
        head += f"authorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b'"hel"')
        return cls(reader, writer)

    async def rest(self) -> bytes:
        """All that comes until the gateway closes."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""
        finally:
            self.writer.close()


async def refuses_connections(gateway: GatewayProcess) -> None:
    """Waits until the data port takes no connection any more."""
    url = urlsplit(gateway.data)
    while True:
        try:
            _, writer = await asyncio.open_connection(url.hostname, url.port)
        except ConnectionRefusedError:
            return
        writer.close()
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_running_stream_ends_whole_while_nothing_new_is_taken(tmp_path: Path, number: signal.Signals) -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()
        async with Upstream([in_two_parts(go_on)]) as upstream:
            with serving(tmp_path, over(upstream)) as gateway:
                stream = await Stream.begin(gateway)
                gateway.signal(number)
                await refuses_connections(gateway)
                ready = await asyncio.to_thread(gateway.request, "GET", "/readyz", ops=True)
                assert (ready.status, ready.json["draining"]) == (503, True)
                go_on.set()
                rest = await stream.rest()
                assert b'"lo"' in rest
                assert b"[DONE]" in rest
                assert await asyncio.to_thread(gateway.wait) == 0, gateway.logged()

    run(scenario())


def test_idle_connections_close_at_once(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        connection = gateway.connect()
        connection.request("GET", "/healthz")
        assert connection.getresponse().read()
        gateway.signal(signal.SIGTERM)
        assert connection.sock is not None
        assert connection.sock.recv(1) == b""
        connection.close()
        assert gateway.wait() == 0


def is_cut(rest: bytes, gateway: GatewayProcess) -> None:
    """The caller was told in band, within a whole answer, and so was the record."""
    assert b"[DONE]" not in rest
    told = rest[rest.index(b'data: {"error"') :]
    frame, ends = told.split(b"\n\n", 1)
    assert json.loads(frame.removeprefix(b"data: "))["error"]["code"] == "draining"
    assert ends.endswith(LAST_CHUNK)
    (record,) = [record for directory in directories(gateway.state_dir) for record in Tail(directory).drain()]
    assert (record.code, record.status, record.stream) == ("draining", 200, True)


def test_what_still_runs_after_the_drain_time_is_cut(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Upstream([hangs(STREAM_HEAD + b"".join(map(chunk, FRAMES[:2])))]) as upstream:
            with serving(tmp_path, over(upstream, drain_s=0.5)) as gateway:
                stream = await Stream.begin(gateway)
                gateway.signal(signal.SIGTERM)
                rest = await stream.rest()
                assert await asyncio.to_thread(gateway.wait) == 0, gateway.logged()
                is_cut(rest, gateway)
                await upstream.aborted.wait()

    run(scenario())


def test_a_second_signal_does_not_wait_for_what_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Upstream([hangs(STREAM_HEAD + b"".join(map(chunk, FRAMES[:2])))]) as upstream:
            with serving(tmp_path, over(upstream, drain_s=3600)) as gateway:
                stream = await Stream.begin(gateway)
                gateway.signal(signal.SIGTERM)
                await refuses_connections(gateway)
                gateway.signal(signal.SIGTERM)
                rest = await stream.rest()
                assert await asyncio.to_thread(gateway.wait) == 0, gateway.logged()
                is_cut(rest, gateway)
                assert not gateway.events("workers_killed")

    run(scenario())


def test_a_stream_ends_whole_when_the_supervisor_is_killed_and_then_nothing_is_left(tmp_path: Path) -> None:
    async def scenario() -> None:
        go_on = asyncio.Event()
        async with Upstream([in_two_parts(go_on)]) as upstream:
            with serving(tmp_path, over(upstream)) as gateway:
                stream = await Stream.begin(gateway)
                below = descendants(gateway.pid)
                assert below
                gateway.process.kill()
                gateway.process.wait()
                await refuses_connections(gateway)
                go_on.set()
                assert b"[DONE]" in await stream.rest()
                await asyncio.to_thread(until, lambda: not any(map(lives, below)), "the workers end")

    run(scenario())


def test_children_and_workers_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with serving(tmp_path, minimal(server={"workers": 2})) as gateway:
        below = descendants(gateway.pid)
        assert len(below) == 4
        gateway.process.kill()
        gateway.process.wait()
        until(lambda: not any(map(lives, below)), "two workers, the keeper and the fake server end")


def test_ctrl_c_in_a_terminal_reaches_the_supervisor_alone(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        ours = os.getpgid(gateway.pid)
        groups = [os.getpgid(pid) for pid in descendants(gateway.pid)]
        assert len(groups) == 3
        assert ours not in groups


def test_nothing_is_left_after_an_orderly_end(tmp_path: Path) -> None:
    with serving(tmp_path) as gateway:
        below = descendants(gateway.pid)
        assert gateway.stop() == 0
        assert not any(map(lives, below))
        assert not (gateway.state_dir / "run" / "gateway.json").exists()
        assert not list((gateway.state_dir / "run").glob("*.sock"))


def test_a_signal_during_the_start_ends_it(tmp_path: Path) -> None:
    write(tmp_path / "config", minimal())
    gateway = launch(tmp_path / "config", tmp_path / "state")
    try:
        until((tmp_path / "state" / "lock").exists, "the start has begun")
        until(lambda: descendants(gateway.pid), "the first process starts")
        os.kill(gateway.pid, signal.SIGTERM)
        assert gateway.wait() == 0, gateway.logged()
    finally:
        gateway.kill()
        assert gateway.process.stdout is not None
        gateway.process.stdout.close()

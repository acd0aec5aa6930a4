"""Health probes against real sockets: what counts as healthy, and that a probe leaves nothing behind."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.backends import base, probe
from tests.support.gateway import CHAT, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import Upstream, says, unary

ANSWERS: dict[str, tuple[bytes, bool]] = {
    "200": (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", True),
    "200 without a length": (b"HTTP/1.1 200 OK\r\n\r\nok", True),
    "503": (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n", False),
    "404": (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n", False),
    "a redirect": (b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n", False),
    "nothing": (b"", False),
    "no HTTP": (b"+PONG\r\n", False),
    "half an answer": (b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nok", False),
    "too much": (b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + b"x" * 200_000, False),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_only_a_whole_200_is_healthy(name: str) -> None:
    data, healthy = ANSWERS[name]
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(data)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/base"
        backend = base.build("b", "vllm", [url], "secret-key", 1.0, 0.2)
        problem = await probe.probe(backend.endpoints[0], b"/health")
        server.close()
        await server.wait_closed()
        assert (problem is None) is healthy, problem
        assert asked[0].startswith(b"GET /base/health HTTP/1.1\r\nhost: 127.0.0.1:")
        assert b"secret-key" not in asked[0]

    run(main())


def test_an_endpoint_that_refuses_connections_is_not_healthy() -> None:
    async def main() -> None:
        async with Upstream([says(unary())]) as upstream:
            url = upstream.url
        backend = base.build("b", "vllm", [url], None, 1.0, 0.2)
        assert await probe.probe(backend.endpoints[0], b"/health") is not None

    run(main())


def test_a_probe_takes_no_connection_from_requests_and_leaves_none(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream([says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            await gateway.raw(post(CHAT))
            endpoint = gateway.gw.backends["b"].endpoints[0]
            assert await probe.probe(endpoint, b"/health") is None
            assert upstream.probes == 1
            await gateway.raw(post(CHAT))
            assert [seen.connection for seen in upstream.seen] == [1, 1]
            assert endpoint.view.outstanding == 0
            gateway.gw.backends["b"].close()
            await until(lambda: not upstream._writers, "every connection to the upstream is closed")

    run(main())


def test_a_probes_connection_never_serves_a_request_since_the_probe_will_close_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream([says(unary())]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            endpoint = gateway.gw.backends["b"].endpoints[0]
            probing = asyncio.create_task(probe.probe(endpoint, b"/health"))
            await until(lambda: upstream.probes or probing.done(), "the probe is answered")
            while not probing.done():  # in every turn of the loop until the probe has gone
                assert endpoint.pool.take() is None
                await asyncio.sleep(0)
            assert await probing is None  # healthy
            assert endpoint.pool.take() is None

    run(main())

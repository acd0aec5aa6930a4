"""The gateway as an ASGI application, in process and behind a stock uvicorn: the same answers as by our own."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from gateway.clock import within
from gateway.dataplane import asgi
from tests.support.gateway import CHAT, KEY, STREAM, Running, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import (
    DONE_FRAME,
    FRAMES,
    STREAM_HEAD,
    USAGE_FRAME,
    Script,
    Talk,
    Upstream,
    chunk,
    hangs,
    says,
    stream,
    unary,
)

LIMITS = {"body": 4096}


@contextlib.asynccontextmanager
async def by_uvicorn(gateway: Running) -> AsyncIterator[str]:
    """The application on a socket, served by uvicorn's own httptools protocol: its URL."""
    settings = uvicorn.Config(
        asgi.app(gateway.gw),
        port=0,
        http="httptools",
        lifespan="off",
        log_config=None,
        loop="none",
        ws="none",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(settings)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving_ = asyncio.create_task(server._serve())
    try:
        await until(lambda: server.started, "uvicorn serves")
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving_


@contextlib.asynccontextmanager
async def clients(gateway: Running) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """A client for each way in: "native", "in process", "uvicorn"."""
    async with contextlib.AsyncExitStack() as stack:
        uvicorns = await stack.enter_async_context(by_uvicorn(gateway))
        yield {
            "native": await stack.enter_async_context(httpx.AsyncClient(base_url=gateway.url)),
            "in process": await stack.enter_async_context(
                httpx.AsyncClient(transport=httpx.ASGITransport(app=asgi.app(gateway.gw)), base_url="http://x")
            ),
            "uvicorn": await stack.enter_async_context(httpx.AsyncClient(base_url=uvicorns)),
        }


AUTH = {"authorization": f"Bearer {KEY}"}
CHAT_PATH = "/v1/chat/completions"
FAILS = unary(b"no", status="500 Internal Server Error")
REJECTS = unary(b'{"error":{"message":"too hot"}}', status="400 Bad Request")
CASES: dict[str, tuple[dict[str, Any], Script]] = {
    "an answer": ({"json": CHAT}, says(unary())),
    "a stream": ({"json": STREAM}, says(stream([*FRAMES, USAGE_FRAME, DONE_FRAME]))),
    "a stream that breaks": ({"json": STREAM}, says(STREAM_HEAD + chunk(FRAMES[0]) + b"zz\r\n")),
    "a backend's failure": ({"json": CHAT}, says(FAILS)),
    "a backend's refusal": ({"json": CHAT}, says(REJECTS)),
    "the caller's own id": ({"json": CHAT, "headers": {**AUTH, "x-request-id": "mine"}}, says(unary())),
    "no key": ({"json": CHAT, "headers": {}}, says(unary())),
    "a wrong key": ({"json": CHAT, "headers": {"authorization": "Bearer lg-wrong"}}, says(unary())),
    "an unknown model": ({"json": {**CHAT, "model": "x"}}, says(unary())),
    "an unknown path": ({"url": "/v1/nowhere", "json": CHAT}, says(unary())),
    "no JSON": ({"content": b"{"}, says(unary())),
    "an empty body": ({"content": b""}, says(unary())),
    "too large a body": ({"content": b"x" * 5000}, says(unary())),
    "HEAD": ({"method": "HEAD"}, says(unary())),
    "another method": ({"method": "PUT", "json": CHAT}, says(unary())),
    "the models": ({"method": "GET", "url": "/v1/models"}, says(unary())),
    "a model": ({"method": "GET", "url": "/v1/models/m?x=1"}, says(unary())),
    "a model with a slash": ({"method": "GET", "url": "/v1/models/a%2Fb"}, says(unary())),
    "health": ({"method": "GET", "url": "/healthz", "headers": {}}, says(unary())),
    "readiness": ({"method": "GET", "url": "/readyz", "headers": {}}, says(unary())),
}
SAME_HEADERS = ("content-type", "content-length", "allow", "x-client-request-id", "x-should-retry", "retry-after")


@pytest.mark.parametrize("name", CASES)
def test_every_way_in_gives_the_same_answer(tmp_path: Path, name: str) -> None:
    asked, script = CASES[name]
    asked = {"method": "POST", "url": CHAT_PATH, "headers": AUTH, **asked}

    async def main() -> None:
        async with (
            Upstream([script]) as upstream,
            serving(
                config({"b": [upstream.url]}, limits=LIMITS, retries={"attempts": 1, "share": 0.0}), tmp_path
            ) as gateway,
            clients(gateway) as ways,
        ):
            got = {}
            for way, client in ways.items():
                answer = await client.request(**asked)
                headers = {key: answer.headers.get(key) for key in SAME_HEADERS}
                assert ("x-request-id" in answer.headers) == (not asked["url"].endswith("z"))
                got[way] = (answer.status_code, answer.content, headers)
            assert got["in process"] == got["native"]
            assert got["uvicorn"] == got["native"]
            await until(lambda: gateway.gw.in_flight == 0, "all requests end")
            records = gateway.records()
            assert len(records) in (0, 3)
            assert len({(r.outcome, r.code, r.status, r.output_tokens, r.answer_bytes) for r in records}) <= 1

    run(main())


@pytest.mark.parametrize("request_", [CHAT, STREAM], ids=["unary", "streamed"])
@pytest.mark.parametrize("midway", [False, True])
def test_a_caller_that_leaves_uvicorn_cancels_the_backend_and_ends_the_application(
    tmp_path: Path, request_: dict[str, Any], midway: bool
) -> None:
    sent = b"" if not midway else unary()[:-5] if request_ is CHAT else STREAM_HEAD + chunk(FRAMES[0])

    async def main() -> None:
        async with (
            Upstream([hangs(sent)]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            tasks = asyncio.all_tasks()
            async with by_uvicorn(gateway) as url:
                _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
                writer.write(post(request_))
                await upstream.arrived.wait()
                await asyncio.sleep(0.02)
                writer.close()
                await within(upstream.aborted.wait(), 60)
                await until(lambda: gateway.gw.in_flight == 0, "the request ends")
                assert gateway.gw.backends["b"].endpoints[0].view.outstanding == 0
                assert [(r.outcome, r.code) for r in gateway.records()] == [("cancelled", "cancelled")]
            await until(lambda: asyncio.all_tasks() <= tasks, "no task of the application is left")

    run(main())


def test_a_caller_that_stalls_behind_uvicorn_stalls_the_backend(tmp_path: Path) -> None:
    frame = b"data: " + b"x" * 65_000 + b"\n\n"
    count, sent = 480, 0  # 30 MB

    async def floods(talk: Talk) -> None:
        nonlocal sent
        await talk.send(STREAM_HEAD)
        for _ in range(count):
            await talk.send(chunk(frame))
            sent += 1
        await talk.send(chunk(DONE_FRAME) + b"0\r\n\r\n")

    async def main() -> None:
        async with (
            Upstream([floods]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
            by_uvicorn(gateway) as url,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]), limit=2**16)
            writer.write(post(STREAM))
            await reader.readuntil(b"\r\n\r\n")
            before = -1
            while sent != before:  # until nothing moves any more
                before = sent
                await asyncio.sleep(0.1)
            assert sent < count / 2, "the gateway took in what its caller did not read"
            got = await reader.read(-1)
            assert len(got) > count * len(frame)
            writer.close()

    run(main())


def test_anything_but_http_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(config({"b": ["http://127.0.0.1:1"]}), tmp_path) as gateway:
            with pytest.raises(ValueError, match="websocket"):
                await asgi.app(gateway.gw)({"type": "websocket"}, _nothing, _nowhere)
            assert json.loads(b"[]") == gateway.records()

    run(main())


async def _nothing() -> dict[str, Any]:
    raise AssertionError("nothing is received")


async def _nowhere(message: Any) -> None:
    raise AssertionError("nothing is sent")

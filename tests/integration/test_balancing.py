"""Many requests at once: where they go, and how few are tried again when everything fails."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tests.support.gateway import CHAT, Running, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import ANSWER, Script, Talk, Upstream, says, unary


@contextlib.asynccontextmanager
async def fleet(
    tmp_path: Path, script: Script, count: int, **server: Any
) -> AsyncIterator[tuple[Running, list[Upstream]]]:
    """A gateway in front of `count` endpoints of one backend, all with the same script."""
    async with contextlib.AsyncExitStack() as stack:
        upstreams = [await stack.enter_async_context(Upstream([script])) for _ in range(count)]
        found = config({"b": [upstream.url for upstream in upstreams]}, **server)
        yield await stack.enter_async_context(serving(found, tmp_path)), upstreams


def when(gate: asyncio.Event) -> Script:
    """Answers when the gate opens."""

    async def script(talk: Talk) -> None:
        await gate.wait()
        await talk.send(unary())

    return script


def ask(gateway: Running, text: str, conversation: str = "") -> asyncio.Task[bytes]:
    extra = f"x-lockgate-conversation-id: {conversation}\r\n".encode() if conversation else b""
    request_ = {**CHAT, "messages": [{"role": "user", "content": text}]}
    return asyncio.create_task(gateway.raw(post(request_, extra=extra)))


def test_requests_without_a_conversation_go_where_least_is_running(tmp_path: Path) -> None:
    async def main() -> None:
        gate = asyncio.Event()
        async with fleet(tmp_path, when(gate), 4) as (gateway, upstreams):
            asked = []
            for number in range(24):
                path = "/v1/embeddings"  # has no conversation
                body = {"model": "m", "input": f"text {number}"}
                asked.append(asyncio.create_task(gateway.raw(post(body, path=path))))
                await until(lambda: sum(len(u.seen) for u in upstreams) == len(asked), "the request is sent")
                loads = [endpoint.view.outstanding for endpoint in gateway.gw.backends["b"].endpoints]
                assert max(loads) - min(loads) <= 1
            gate.set()
            assert all(answer.endswith(ANSWER) for answer in await asyncio.gather(*asked))
            assert [len(upstream.seen) for upstream in upstreams] == [6, 6, 6, 6]

    run(main())


def test_a_conversation_named_by_its_header_stays_whatever_it_says(tmp_path: Path) -> None:
    async def main() -> None:
        async with fleet(tmp_path, says(unary()), 4) as (gateway, upstreams):
            homes = []
            for conversation in range(16):
                before = [len(upstream.seen) for upstream in upstreams]
                for turn in range(3):
                    await ask(gateway, f"turn {turn} of something", f"c-{conversation}")
                moved = [len(upstream.seen) - was for upstream, was in zip(upstreams, before, strict=True)]
                assert sorted(moved) == [0, 0, 0, 3]
                homes.append(moved.index(3))
            assert len(set(homes)) > 1
            assert {record.attempts[0].reason for record in gateway.records()} == {"first"}
            assert {record.attempts[0].choice for record in gateway.records()} == {"sticky"}

    run(main())


def test_one_hot_conversation_overflows_before_it_overloads_its_endpoint(tmp_path: Path) -> None:
    async def main() -> None:
        gate = asyncio.Event()
        async with fleet(tmp_path, when(gate), 4) as (gateway, upstreams):
            asked = []
            for number in range(40):
                asked.append(ask(gateway, f"{number}", "hot"))
                await until(lambda: sum(len(u.seen) for u in upstreams) == len(asked), "the request is sent")
            loads = sorted(len(upstream.seen) for upstream in upstreams)
            assert loads[-1] <= -(-40 * 1.25 // 4) + 1
            gate.set()
            await asyncio.gather(*asked)
            choices = Counter(record.attempts[0].choice for record in gateway.records())
            assert choices["sticky"] >= 4
            assert choices["sticky_overflow"] > 0

    run(main())


def test_an_outage_of_every_endpoint_is_not_multiplied_by_retries(tmp_path: Path) -> None:
    async def main() -> None:
        failing = says(unary(b"no", status="500 Internal Server Error"))
        server = {"retries": {"attempts": 3, "share": 0.1}}
        async with fleet(tmp_path, failing, 4, **server) as (gateway, upstreams):
            began = gateway.gw.clock.monotonic_s()
            for burst in range(10):
                answers = await asyncio.gather(*(ask(gateway, f"{burst}.{number}") for number in range(20)))
                assert {answer.split(b" ", 2)[1] for answer in answers} <= {b"502", b"503"}
            took_s = gateway.gw.clock.monotonic_s() - began
            attempts = [len(record.attempts) for record in gateway.records()]
            assert len(attempts) == 200
            retries = sum(attempts) - sum(number > 0 for number in attempts)
            assert retries <= 0.1 * 200 + 10 + took_s + 1
            assert sum(len(upstream.seen) for upstream in upstreams) == sum(attempts)
            assert gateway.gw.in_flight == 0

    run(main())


def test_an_endpoint_that_comes_back_serves_again(tmp_path: Path) -> None:
    async def main() -> None:
        broken = True

        async def script(talk: Talk) -> None:
            await talk.send(unary(b"no", status="500 Internal Server Error") if broken else unary())

        async with fleet(tmp_path, script, 1, retries={"attempts": 1, "share": 0.0}) as (gateway, _):
            for number in range(6):
                await ask(gateway, f"{number}")
            assert (await ask(gateway, "refused")).startswith(b"HTTP/1.1 503")
            broken = False
            endpoint = gateway.gw.backends["b"].endpoints[0]
            await until(lambda: gateway.gw.clock.monotonic_s() >= endpoint.health.until_s, "the cooldown ends")
            assert (await ask(gateway, "again")).endswith(ANSWER)
            assert endpoint.health.state == "closed"

    run(main())

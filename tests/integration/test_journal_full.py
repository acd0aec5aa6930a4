"""A disk without room for the journal: nothing is served unrecorded, what runs ends, and it all comes back."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import CHAT, STREAM, Running, config, post, serving
from tests.support.running import run, until
from tests.support.upstream import ANSWER, DONE_FRAME, FRAMES, LAST_CHUNK, STREAM_HEAD, Talk, Upstream, chunk, unary

READY = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


def code(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"])


@pytest.mark.parametrize("request_", [CHAT, STREAM], ids=["unary", "streamed"])
def test_while_the_journal_is_full_new_requests_are_refused_and_running_ones_end(
    tmp_path: Path, request_: dict[str, Any]
) -> None:
    async def main() -> None:
        gate = asyncio.Event()

        async def waits(talk: Talk) -> None:
            await gate.wait()
            if request_ is CHAT:
                await talk.send(unary())
            else:
                await talk.send(STREAM_HEAD + chunk(FRAMES[0]) + chunk(DONE_FRAME) + LAST_CHUNK)

        async with (
            Upstream([waits]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            running = asyncio.create_task(gateway.raw(post(request_)))
            await upstream.arrived.wait()
            journal = gateway.gw.journal
            journal.accepts_new = False
            await _refuses(gateway)
            assert len(upstream.seen) == 1
            gate.set()
            assert (await running).startswith(b"HTTP/1.1 200")
            journal.accepts_new = True
            assert (await gateway.raw(READY)).startswith(b"HTTP/1.1 200")
            assert (await gateway.raw(post(request_))).startswith(b"HTTP/1.1 200")
            await until(lambda: gateway.gw.in_flight == 0, "all ends")
            assert [record.outcome for record in gateway.records()] == ["answered", "answered"]
            assert journal.unrecorded == 2
            assert journal.opened == journal.closed == 2

    run(main())


async def _refuses(gateway: Running) -> None:
    for request_ in (CHAT, STREAM):
        answer = await gateway.raw(post(request_))
        assert answer.startswith(b"HTTP/1.1 503")
        assert code(answer) == "store_unavailable"
    assert (await gateway.raw(READY)).startswith(b"HTTP/1.1 503")
    assert (await gateway.raw(READY.replace(b"readyz", b"healthz"))).startswith(b"HTTP/1.1 200")


def test_a_caller_that_is_refused_for_its_own_fault_hears_so_even_then(tmp_path: Path) -> None:
    async def main() -> None:
        async with (
            Upstream([_never]) as upstream,
            serving(config({"b": [upstream.url]}), tmp_path) as gateway,
        ):
            gateway.gw.journal.accepts_new = False
            assert code(await gateway.raw(post(CHAT, key="lg-wrong"))) == "invalid_api_key"
            assert code(await gateway.raw(post(b"{"))) == "invalid_request"
            assert upstream.seen == []
            gateway.gw.journal.accepts_new = True

    run(main())


async def _never(talk: Talk) -> None:
    raise AssertionError(f"nothing is to be sent, least of all {ANSWER!r}")

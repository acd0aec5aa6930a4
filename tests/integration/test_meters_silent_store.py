"""Metered streams in front of the real fake server while the store of the meters says nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest

from gateway.dataplane.leasing import Leasing
from gateway.store.meters import Change, MeterStoreDown, T
from gateway.store.meters_memory import MemoryMeters, MeterMemory
from tests.support.metered import Metered, events, metering, produced, usd
from tests.support.running import run, until
from tests.support.server_process import ServerProcess, serving

SCRIPT = """
rules:
  - {match: "endless", answer: word, tokens: 100000, tokens_per_s: 400}
  - {match: "at once", answer: word, tokens: 400}
  - {match: "short", answer: "one two three"}
"""


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    script = tmp_path_factory.mktemp("fake") / "script.yaml"
    script.write_text(SCRIPT)
    with serving("gateway.backends.fake", "--script", str(script)) as server:
        yield server


@contextlib.asynccontextmanager
async def with_a_slice(
    fake: ServerProcess, tmp_path: Path, memory: MeterMemory
) -> AsyncIterator[tuple[Metered, Leasing]]:
    """A gateway that has taken the first slice of its budget."""
    async with metering(fake, tmp_path, {"acme": [usd(2_000_000)]}, memory=memory) as gateway:
        assert (await gateway.ask("short", max_tokens=64)).status_code == 200
        leasing = gateway.running.gw.leasing
        assert leasing is not None
        yield gateway, leasing


class Silent(MemoryMeters):
    """A store that answers nothing more until `again` is set."""

    def __init__(self, memory: MeterMemory) -> None:
        super().__init__(memory)
        self.again = asyncio.Event()

    async def update(self, keys: Sequence[str], change: Change[T], *, restating: bool = False) -> dict[str, T]:
        await self.again.wait()
        return await super().update(keys, change, restating=restating)


def test_a_stream_is_cut_where_nobody_says_in_time_whether_there_is_more(fake: ServerProcess, tmp_path: Path) -> None:
    async def main() -> None:
        memory = MeterMemory()
        async with with_a_slice(fake, tmp_path, memory) as (gateway, leasing):
            answers, leasing._store = leasing._store, Silent(memory)
            answer = await gateway.ask("endless", stream=True)
            assert events(answer.content)[-1]["choices"][0]["finish_reason"] == "length"
            record = await gateway.last()
            assert record.action == "cut"
            assert record.output_tokens == record.held_output < 100_000
            (made,) = produced(fake, record.id)
            assert record.output_tokens + record.waste_tokens == made["output_tokens"]
            leasing._store.again.set()
            await until(lambda: leasing._running is None, "the exchange ends")
            leasing._store = answers

    run(main())


class Lost(Silent):
    """And then it is not there any more."""

    async def update(self, keys: Sequence[str], change: Change[T], *, restating: bool = False) -> dict[str, T]:
        await self.again.wait()
        raise MeterStoreDown("it is gone")


def test_a_cut_after_the_upstream_ended_leaves_its_connection_to_the_next(fake: ServerProcess, tmp_path: Path) -> None:
    """The connection is back in the pool by then, and may carry another request."""

    async def main() -> None:
        memory = MeterMemory()
        async with with_a_slice(fake, tmp_path, memory) as (gateway, leasing):
            leasing._store = lost = Lost(memory)
            (endpoint,) = gateway.running.gw.backends["b"].endpoints
            connection = endpoint.pool.take()
            assert connection is not None
            endpoint.pool.released(connection)
            asking = asyncio.ensure_future(gateway.ask("at once", stream=True))
            await until(lambda: connection.requests_sent == 2 and not connection.busy, "the upstream has ended")
            assert endpoint.pool.take() is connection
            lost.again.set()
            answer = await asking
            assert events(answer.content)[-1]["choices"][0]["finish_reason"] == "length"
            assert (await gateway.last()).action == "cut"
            assert connection.owner is endpoint.pool
            assert not connection.closed
            endpoint.pool.released(connection)

    run(main())

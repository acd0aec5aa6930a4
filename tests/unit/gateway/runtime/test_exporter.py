from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from gateway.clock import SystemClock
from gateway.config import archive
from gateway.config.model import Config
from gateway.config.model_telemetry import Otlp, Telemetry
from gateway.runtime.control_channel import Channel, Drain, Exported, Reload
from gateway.runtime.exporter import BATCH, PLACES, WAIT_S, Exporter
from gateway.runtime.exporting import ExportStart
from gateway.store.journal import Journal
from gateway.store.records import Record
from gateway.telemetry.logs import Log
from gateway.telemetry.spans import Kind, Span
from tests.support.journals import a_journal, a_record
from tests.support.running import run, until

HERE = Otlp(endpoint="http://127.0.0.1:1")


class Collector:
    """Takes spans, or not."""

    why_not = "nobody there"

    def __init__(self) -> None:
        self.takes = True
        self.tried = 0
        self.batches: list[list[Span]] = []
        self.otlp: list[Otlp] = []

    def made(self, otlp: Otlp, _instance: str) -> Collector:
        self.otlp.append(otlp)
        return self

    def send(self, spans: Sequence[Span]) -> bool:
        self.tried += 1
        if self.takes:
            self.batches.append(list(spans))
        return self.takes

    def close(self) -> None:
        pass

    @property
    def requests(self) -> list[object]:
        """The ids of the requests whose spans came, in order."""
        spans = [span for batch in self.batches for span in batch]
        return [span.attributes["lockgate.request.id"] for span in spans if span.kind is Kind.SERVER]


class Scene:
    """An exporter in this process, and the supervisor's end of its channel."""

    def __init__(self, state_dir: Path, collector: Collector, otlp: Otlp | None = HERE) -> None:
        (state_dir / "state-id").write_text("s")
        self.state_dir = state_dir
        self.lines: list[dict[str, Any]] = []
        self.said: list[Exported] = []
        log = Log(SystemClock(), write=lambda line: self.lines.append(json.loads(line)))
        ours, theirs = socket.socketpair()
        start = ExportStart(theirs.detach(), str(state_dir), self.archived(otlp), "info")
        self.exporter = Exporter(start, log, collector.made, again_s=0.01)
        self._running = asyncio.ensure_future(self.exporter.run())
        self.channel = Channel(Exported, self.said.append, lambda: None)
        connecting = asyncio.get_running_loop().create_unix_connection(lambda: self.channel, sock=ours)
        self._connecting = asyncio.ensure_future(connecting)

    def archived(self, otlp: Otlp | None) -> str:
        config = Config(telemetry=Telemetry(otlp=otlp))
        return archive.write(self.state_dir, archive.encode(config))

    async def until(self, condition: Callable[[], bool]) -> None:
        await self._connecting
        await until(condition, "what the test waits for")

    async def drained(self) -> None:
        await self._connecting
        self.channel.send(Drain())
        await self._running
        self.channel.close()

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == name]


@contextlib.asynccontextmanager
async def exporting(
    state_dir: Path, otlp: Otlp | None = HERE, *, takes: bool = True
) -> AsyncIterator[tuple[Journal, Collector, Scene]]:
    """A journal, a collector, and an exporter between them that reads from here on."""
    journal, collector = a_journal(state_dir), Collector()
    collector.takes = takes
    scene = Scene(state_dir, collector, otlp)
    await scene.until((state_dir / PLACES).exists)
    yield journal, collector, scene
    journal.stop()


def now(request_id: str, ago_s: float = 0.0, **columns: Any) -> Record:
    return a_record(request_id, started_ns=time.time_ns() - int(ago_s * 1e9), **columns)


def test_it_sends_what_is_recorded_once_it_began_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async def main() -> None:
        journal = a_journal(tmp_path)
        journal.add(now("req_before", ago_s=60))
        journal.stop()
        async with exporting(tmp_path) as (journal, collector, first):
            journal.add(now("req_1"))
            await first.until(lambda: collector.requests == ["req_1"])
            await first.drained()
            journal.add(now("req_2"))
            second = Scene(tmp_path, collector)
            await second.until(lambda: collector.requests == ["req_1", "req_2"])
            await second.drained()
            assert second.said[-1] == Exported(2, 0, True)

    run(main())


def test_it_sends_the_rest_when_it_is_told_to_end(tmp_path: Path) -> None:
    async def main() -> None:
        async with exporting(tmp_path) as (journal, collector, scene):
            for number in range(BATCH):
                journal.add(now(f"req_{number}"))
            await scene.drained()
            assert len(collector.requests) == BATCH
            assert max(map(len, collector.batches)) <= BATCH

    run(main())


def test_while_nobody_takes_it_it_waits_and_says_so_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with exporting(tmp_path, takes=False) as (journal, collector, scene):
            journal.add(now("req_1"))
            await scene.until(lambda: collector.tried >= 3)
            assert [event["error"] for event in scene.events("spans_not_taken")] == ["nobody there"]
            assert scene.said[-1] == Exported(0, 0, False)
            collector.takes = True
            await scene.until(lambda: collector.requests == ["req_1"])
            await scene.until(lambda: scene.said[-1] == Exported(2, 0, True))
            assert len(scene.events("spans_taken_again")) == 1
            await scene.drained()

    run(main())


def test_what_was_not_taken_when_it_ends_is_sent_at_the_next_start(tmp_path: Path) -> None:
    async def main() -> None:
        async with exporting(tmp_path, takes=False) as (journal, collector, scene):
            journal.add(now("req_1"))
            await scene.until(lambda: collector.tried >= 1)
            await scene.drained()
            collector.takes = True
            again = Scene(tmp_path, collector)
            await again.until(lambda: collector.requests == ["req_1"])
            await again.drained()

    run(main())


def test_what_nobody_took_for_too_long_is_given_up_and_counted(tmp_path: Path) -> None:
    (tmp_path / PLACES).write_text('{"since_ns": 0, "journals": {}}')

    async def main() -> None:
        async with exporting(tmp_path, takes=False) as (journal, collector, scene):
            journal.add(now("req_old", ago_s=WAIT_S + 60))
            await scene.until(lambda: bool(scene.said) and scene.said[-1] == Exported(0, 2, False))
            assert collector.tried == 1
            journal.add(now("req_new"))
            await scene.until(lambda: collector.tried >= 3)
            collector.takes = True
            await scene.until(lambda: collector.requests == ["req_new"])
            await scene.drained()
            assert scene.said[-1] == Exported(2, 2, True)

    run(main())


def test_it_sends_what_is_sampled_and_what_failed(tmp_path: Path) -> None:
    async def main() -> None:
        nothing = Otlp(endpoint="http://127.0.0.1:1", sample=0.0)
        async with exporting(tmp_path, nothing) as (journal, collector, scene):
            parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"
            journal.add(now("req_own"))
            journal.add(now("req_kept", traceparent=parent + "01"))
            journal.add(now("req_left", traceparent=parent + "00"))
            journal.add(now("req_failed", outcome="failed", status=502, code="upstream_failed"))
            await scene.drained()
            assert collector.requests == ["req_kept", "req_failed"]

    run(main())


def test_another_address_gets_what_the_first_did_not_take(tmp_path: Path) -> None:
    async def main() -> None:
        async with exporting(tmp_path, takes=False) as (journal, collector, scene):
            journal.add(now("req_1"))
            await scene.until(lambda: collector.tried >= 1)
            there = Otlp(endpoint="http://127.0.0.1:2")
            scene.channel.send(Reload(scene.archived(there)))
            await scene.until(lambda: collector.otlp == [HERE, there])
            collector.takes = True
            await scene.until(lambda: collector.requests == ["req_1"])
            await scene.drained()

    run(main())


def test_where_spans_are_wanted_no_more_none_is_sent_and_none_of_that_time_later(tmp_path: Path) -> None:
    async def main() -> None:
        async with exporting(tmp_path) as (journal, collector, scene):
            scene.channel.send(Reload(scene.archived(None)))
            await scene.until(lambda: not (tmp_path / PLACES).exists())
            journal.add(now("req_between"))
            scene.channel.send(Reload(scene.archived(HERE)))
            await scene.until((tmp_path / PLACES).exists)
            journal.add(now("req_1"))
            await scene.until(lambda: bool(collector.requests))
            await scene.drained()
            assert collector.requests == ["req_1"]

    run(main())


class Lacking(Collector):
    """Cannot be made."""

    def made(self, otlp: Otlp, _instance: str) -> Collector:
        raise ImportError("no packages")


def test_missing_packages_are_told_and_nothing_else_happens(tmp_path: Path) -> None:
    async def main() -> None:
        scene = Scene(tmp_path, Lacking())
        await scene.until(lambda: bool(scene.events("spans_not_sent")))
        await scene.drained()
        assert scene.events("spans_not_sent")[0]["error"] == "no packages"
        assert scene.said[-1] == Exported(0, 0, False)

    run(main())

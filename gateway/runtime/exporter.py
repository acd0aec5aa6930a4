"""The exporter: the process that sends spans. `python -m gateway.runtime.exporter START`.

It follows the journals with a place of its own, makes spans of the records and sends those that are sampled, where
`telemetry.otlp` says. The journals are its buffer: while nobody takes what it sends it waits, and after `WAIT_S` gives
up the oldest, counted. It serves nobody, holds up neither requests nor journals, and may be killed at any instruction:
what had been sent since it last noted its place is sent again, with the same ids. It ends when the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.clock import within
from gateway.config import archive
from gateway.config.model import Config
from gateway.config.model_telemetry import Otlp
from gateway.errors import ConfigError
from gateway.runtime import background, connected
from gateway.runtime.control_channel import Channel, Drain, Exported, Reload, ToExporter
from gateway.runtime.exporting import ExportStart
from gateway.runtime.otlp import Sender, Sends
from gateway.runtime.state_dir import state_id, write_whole
from gateway.store import record_spans
from gateway.store.journal_follow import Position
from gateway.store.record_feed import RecordFeed
from gateway.store.records import Record
from gateway.telemetry.logs import Log
from gateway.telemetry.spans import Span
from gateway.wire import trace_ids

LOOK_EVERY_S: Final = 0.5
"""How often it looks for new records where there were none."""
AGAIN_EVERY_S: Final = 5.0
"""How often it tries where nobody took what it sent; the exporters try a few times each time."""
WAIT_S: Final = 900.0
"""How old a record may get before its spans are given up."""
BATCH: Final = 512
"""Spans sent at once, as the SDK's own exporters do."""
PLACES: Final = "exporter.json"


class Places(msgspec.Struct, frozen=True):
    """STATE/exporter.json: how far the journals were sent."""

    since_ns: int
    """When spans began to be sent: nothing that is older is."""
    journals: dict[str, Position]


class Exporter:
    """What runs in the process. `make` and `again_s` are for tests: what sends, and how soon it tries again."""

    def __init__(
        self,
        start: ExportStart,
        log: Log,
        make: Callable[[Otlp, str], Sends] = Sender,
        again_s: float = AGAIN_EVERY_S,
    ) -> None:
        self._make = make
        self._again_s = again_s
        self._start = start
        self._state_dir = Path(start.state_dir)
        self._log = log
        self._gone = asyncio.Event()
        self._wake = asyncio.Event()
        self._draining = False
        self._told = start.digest
        self._digest = ""
        self._otlp: Otlp | None = None
        self._limit = ""
        self._known = record_spans.NOTHING
        self._sender: Sends | None = None
        self._feed: RecordFeed | None = None
        self._since_ns = 0
        self._sent = 0
        self._lost = 0
        self._up = True
        self._channel = Channel(ToExporter, self._hear, self._gone.set)

    async def run(self) -> None:
        """Sends until told to end."""
        await connected.join(self._start.control_fd, self._channel, self._gone.set)
        working = asyncio.ensure_future(self._work())
        left = asyncio.ensure_future(self._gone.wait())
        await asyncio.wait((working, left), return_when=asyncio.FIRST_COMPLETED)
        left.cancel()
        if self._sender is not None:
            self._sender.close()  # ends a try that runs
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working

    def _hear(self, message: ToExporter) -> None:
        match message:
            case Reload(digest):
                self._told = digest
            case Drain():
                self._draining = True
        self._wake.set()

    @property
    def _spoken_to(self) -> bool:
        """Whether there is something to do other than to wait."""
        return self._draining or self._told != self._digest

    async def _work(self) -> None:
        while True:
            last = self._draining
            if self._told != self._digest:
                await asyncio.to_thread(self._configure)
            records = await asyncio.to_thread(self._read)
            if records:
                delivered = await self._deliver(self._spans(records), _newest_ns(records))
                if not delivered and self._draining:
                    return  # the place stays before it
                await asyncio.to_thread(self._note if delivered else self._begin)
            self._channel.send(Exported(self._sent, self._lost, self._up and self._sender is not None))
            if not records:
                if last:
                    return
                await self._rest(LOOK_EVERY_S)

    # -- what is to be sent, and where

    def _configure(self) -> None:
        """Another configuration is in force."""
        self._digest = self._told
        try:
            config = archive.resolve_secrets(archive.read(self._state_dir, self._digest), os.environ)
            self._aim(config)
        except (ConfigError, OSError, ImportError) as error:
            self._log.error("spans_not_sent", error=str(error))
            self._stop_sending()

    def _aim(self, config: Config) -> None:
        """Raises OSError, ImportError."""
        otlp = config.telemetry.otlp
        self._known = record_spans.known(config)
        if otlp is None:
            self._stop_sending()
            (self._state_dir / PLACES).unlink(missing_ok=True)  # what comes until it is wanted again is not sent
        elif otlp != self._otlp:
            self._stop_sending()
            self._limit = trace_ids.below(otlp.sample)
            self._sender = self._make(otlp, state_id(self._state_dir))
            self._otlp = otlp
            self._begin()

    def _begin(self) -> None:
        """Reads on from where it was noted, or from this moment."""
        places = Places(time.time_ns(), {})
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            places = msgspec.json.decode((self._state_dir / PLACES).read_bytes(), type=Places)
        self._since_ns = places.since_ns
        if self._feed is not None:
            self._feed.close()
        self._feed = RecordFeed(self._state_dir, places.journals)
        self._note()

    def _stop_sending(self) -> None:
        if self._sender is not None:
            self._sender.close()
        if self._feed is not None:
            self._feed.close()
        self._sender = self._feed = self._otlp = None

    def _read(self) -> list[Record]:
        if self._feed is None:
            return []
        gaps = self._feed.gaps
        records = self._feed.read()
        if self._feed.gaps > gaps:
            self._log.error("spans_gap", gaps=self._feed.gaps - gaps)
        return records

    def _spans(self, records: Sequence[Record]) -> list[Span]:
        assert self._otlp is not None
        errors, since_ns, known = self._otlp.errors == "always", self._since_ns, self._known
        return [
            span
            for record in records
            if record.started_ns >= since_ns and record_spans.wanted(record, self._limit, errors=errors)
            for span in record_spans.spans(record, known)
        ]

    def _note(self) -> None:
        """What was read is dealt with: it is not read again."""
        if self._feed is not None:
            places = Places(self._since_ns, self._feed.places)
            try:
                write_whole(self._state_dir / PLACES, msgspec.json.encode(places))
            except OSError as error:  # sent again after a restart, and that is all
                self._log.error("exporter_place_not_noted", error=str(error))

    # -- sending

    async def _deliver(self, spans: Sequence[Span], newest_ns: int) -> bool:
        """Sends them, or gives them up in the end; False when told something before."""
        for begin in range(0, len(spans), BATCH):
            batch = spans[begin : begin + BATCH]
            while not await self._try(batch, newest_ns):
                if self._spoken_to:
                    return False
                await self._rest(self._again_s)
        return True

    async def _try(self, batch: Sequence[Span], newest_ns: int) -> bool:
        """Whether they need no further try."""
        sender = self._sender
        if sender is None:
            return True
        if not self._up and time.time_ns() - newest_ns > WAIT_S * 1e9:
            self._lost += len(batch)
            return True
        taken = await asyncio.to_thread(sender.send, batch)
        if taken:
            self._sent += len(batch)
        if taken != self._up:
            self._up = taken
            if taken:
                self._log.info("spans_taken_again")
            else:
                self._log.error("spans_not_taken", error=sender.why_not)
        self._channel.send(Exported(self._sent, self._lost, self._up))
        return taken

    async def _rest(self, most_s: float) -> None:
        self._wake.clear()
        if not self._spoken_to:
            with contextlib.suppress(TimeoutError):
                await within(self._wake.wait(), most_s)


def _newest_ns(records: Sequence[Record]) -> int:
    return max(record.started_ns + int(record.total_ms * 1e6) for record in records)


async def _run(start: ExportStart, log: Log) -> None:
    await Exporter(start, log).run()


def main() -> int:
    """The process. Its one argument is an `ExportStart` as JSON."""
    gc.set_threshold(100_000, 20, 50)  # many records and spans, none of which refers to another
    start, log = background.begun(ExportStart, "exporter")
    asyncio.run(_run(start, log))
    return 0


if __name__ == "__main__":
    sys.exit(main())

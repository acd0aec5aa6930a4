"""The keeper: the process that keeps account beside the workers. `python -m gateway.runtime.keeper START`.

It follows the journals and adds what was closed to the ledger; what dead workers had leased of meters it gives back,
with what their journals say they spent. It serves nobody, and may be killed at any instruction: what it does is either
done or will be done again, never twice. It ends when the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import sys
from pathlib import Path

from gateway.clock import SteadyClock, SystemClock, within
from gateway.runtime import background, connected, record_moving
from gateway.runtime.contents import ContentPasses
from gateway.runtime.control_channel import Channel, Drain, Kept, Look, Reload, ToKeeper
from gateway.runtime.keeper_meters import KeeperMeters
from gateway.runtime.keeping import KeeperStart
from gateway.store import span_spool
from gateway.store.day_table import TABLES
from gateway.store.ledger import Ledger, LedgerBusy
from gateway.store.manifest import LedgerUnreadable
from gateway.telemetry.gauges import KeeperGauges
from gateway.telemetry.logs import Log

PASS_EVERY_S = 30.0
"""How long a record may wait until it is in the ledger, at rest. `lockgate usage` does not wait for it."""

RETRY_S = 0.5
"""After a pass that did not do all; and how often a store of meters is looked at."""

SPANS_BYTES = 16 * 2**20
"""Of agents' spans that wait: from then on a pass begins at once."""

LAST_TRIES = 3
"""How often the store of the meters is asked at the end to take what dead workers had leased. What it does not take
then is done at the next start."""


class Keeper:
    """What runs in the process."""

    def __init__(self, start: KeeperStart, log: Log) -> None:
        self._start = start
        self._state_dir = Path(start.state_dir)
        self._log = log
        self._wake = asyncio.Event()
        self._draining = False
        self._gone = asyncio.Event()
        self._ledger: Ledger | None = None
        self._meters = KeeperMeters(self._state_dir, start.meters, SteadyClock(start.wall_offset_ns), log)
        at = start.records.path or ""
        self._moving = [record_moving.Moving(self._state_dir, at, log, table) for table in TABLES]
        self._contents = ContentPasses(self._state_dir, SystemClock(), log)
        self._problem = ""
        self._merging_failed = ""
        self._spans_lost = 0
        self._gap = 0
        self._channel = Channel(ToKeeper, self._told, self._gone.set)

    async def run(self) -> None:
        """Keeps account until told to end."""
        await connected.join(self._start.control_fd, self._channel, self._gone.set)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._wake.set)  # a pass, now
        working = asyncio.ensure_future(self._work())
        watching = asyncio.ensure_future(self._watch())
        left = asyncio.ensure_future(self._gone.wait())
        await asyncio.wait((working, left), return_when=asyncio.FIRST_COMPLETED)
        left.cancel()
        watching.cancel()
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        if self._ledger is not None:
            self._ledger.close()
        self._contents.close()
        with contextlib.suppress(TimeoutError):
            await self._meters.close()

    def _told(self, message: ToKeeper) -> None:
        match message:
            case Reload(_):
                return  # it may come several times a second
            case Drain():
                self._draining = True
            case Look():
                pass
        self._wake.set()

    async def _work(self) -> None:
        tries = 0
        while True:
            self._wake.clear()
            last = self._draining  # told during a pass, it may have read already what was written to since
            more = await self._pass()
            more |= await asyncio.to_thread(self._contents.add)
            await self._settle()
            if self._ledger is not None and not self._problem:
                await self._meters.reconcile(self._ledger)
            await self._meters.look_over(self._ledger)
            self._channel.send(Kept(self._gauges(whole=not more and not self._problem)))
            if self._ledger is not None and not self._problem:
                for moving in self._moving:
                    moving.go_on(self._ledger)
            if more:
                continue
            tries += last
            if last and (not self._meters.unsettled or tries >= LAST_TRIES):
                return
            with contextlib.suppress(TimeoutError):
                again = bool(self._problem or self._meters.unsettled or self._meters.reconciling)
                await within(self._wake.wait(), RETRY_S if again else PASS_EVERY_S)

    async def _watch(self) -> None:
        """Notices a store that was restarted, and spans that come faster than passes do."""
        while True:
            await asyncio.sleep(RETRY_S)
            if span_spool.waiting_bytes(self._state_dir) > SPANS_BYTES:
                self._wake.set()
            if not await self._meters.grants():
                self._wake.set()

    async def _pass(self) -> bool:
        """Brings the ledger up to date; True when there is more to do."""
        more = False
        await self._meters.before_pass()
        try:
            more = await asyncio.to_thread(self._add)
        except (OSError, LedgerUnreadable, LedgerBusy, ImportError) as error:
            self._failed(error)
        else:
            if self._problem:
                self._log.info("ledger_goes_on")
            self._problem = ""
            self._meters.after_pass()
        return more

    def _add(self) -> bool:
        if self._ledger is None:
            self._meters.begin_anew()
            records = self._start.records
            self._ledger = Ledger(
                self._state_dir,
                SystemClock(),
                self._meters.seen,
                record_moving.class_of(records),
                moves=records.path is not None,
            )
        for moving in self._moving:
            moving.note(self._ledger)
        more = self._ledger.add()
        if self._ledger.gap:
            self._gap += self._ledger.gap
            self._ledger.gap = 0
            self._log.error("ledger_gap", requests=self._gap)
        more = self._ledger.add_spans() or more
        if self._ledger.spans_unreadable > self._spans_lost:
            self._spans_lost = self._ledger.spans_unreadable
            self._log.error("spans_unreadable", requests=self._spans_lost)
        if not more and not self._draining:
            try:
                self._ledger.merge([file for moving in self._moving for file in moving.busy])
            except OSError as error:  # many small files are slower to read, and that is all
                if str(error) != self._merging_failed:
                    self._log.error("ledger_merge_failed", error=str(error))
                self._merging_failed = str(error)
        return more

    async def _settle(self) -> None:
        """Gives back what workers that ended had leased."""
        ledger = self._ledger
        if ledger is None or not (journals := ledger.unsettled()):
            return
        for journal in await self._meters.settle(journals):
            try:
                await asyncio.to_thread(ledger.settled, journal)
            except OSError as error:
                self._failed(error)
                return

    def _failed(self, error: Exception) -> None:
        """Begins anew from what the manifest says."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None
        if str(error) != self._problem:
            self._log.error("ledger_failed", error=str(error))
        self._problem = str(error) or type(error).__name__

    def _gauges(self, *, whole: bool) -> KeeperGauges:
        if self._ledger is None:
            return KeeperGauges(pass_ok=whole, unsettled=self._meters.unsettled, drift_nanos=self._meters.drift.nanos)
        now = self._ledger.manifest
        return KeeperGauges(
            ledger_rows=now.rows,
            ledger_bytes=sum(file.bytes for file in now.files),
            ledger_files=len(now.files),
            ledger_unreadable=self._ledger.unreadable,
            ledger_gap=self._gap,
            records_rows=sum(file.rows for file in now.records),
            records_bytes=sum(file.bytes for file in now.records),
            records_files=len(now.records),
            content_rows=self._contents.rows,
            content_lost=self._contents.lost,
            records_waiting=len(self._ledger.leaving()[0]),
            agent_spans=sum(file.rows for file in now.spans),
            agent_spans_waiting_bytes=span_spool.waiting_bytes(self._state_dir),
            agent_spans_unreadable=self._ledger.spans_unreadable,
            pass_ok=whole,
            unsettled=self._meters.unsettled,
            drift_nanos=self._meters.drift.nanos,
            drift_checks=self._meters.drift.checked,
            buckets=self._meters.buckets,
        )


async def _run(start: KeeperStart, log: Log) -> None:
    await Keeper(start, log).run()


def main() -> int:
    """The process. Its one argument is a `KeeperStart` as JSON."""
    gc.set_threshold(100_000, 20, 50)  # a pass makes many records, and none of them refers to another
    start, log = background.begun(KeeperStart, "keeper")
    asyncio.run(_run(start, log))
    return 0


if __name__ == "__main__":
    sys.exit(main())

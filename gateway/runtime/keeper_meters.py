"""The keeper's side of the meters: what dead workers had leased goes back, with what their journals say they spent; and
what the living ones tell is compared with their records."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from gateway.clock import Clock, within
from gateway.config import archive, snapshot, snapshot_meters
from gateway.config.model import Config
from gateway.config.snapshot_meters import MONEY
from gateway.errors import ConfigError
from gateway.policy import survey
from gateway.policy.meters import Directory, led_to
from gateway.runtime import meter_stores, state_dir
from gateway.store import ledger_sums, settling
from gateway.store.drift import Drift
from gateway.store.journal_follow import Position
from gateway.store.journal_read import directories, writer_lives
from gateway.store.ledger import Ledger
from gateway.store.manifest import LedgerUnreadable
from gateway.store.meters import MeterStore, MeterStoreDown
from gateway.store.records import Record
from gateway.telemetry.logs import Log

KEPT_SNAPSHOTS: Final = 3
"""Configurations in memory: with a hundred thousand tenants each is large."""
MOST_KNOWN: Final = 50_000
"""Combinations of tenant, key, model and so on whose buckets are remembered."""
SURVEY_FIRST_S: Final = 20.0
SURVEY_EVERY_S: Final = 120.0
SURVEY_SHARE: Final = 200
"""Buckets are looked over so often, and not for more than this part of the time."""
QUARTER_NS: Final = 900 * 10**9
MOST_TOLD: Final = 20
"""Buckets named in the log when they drift."""


class _Known:
    """What is kept of a configuration. Without meters it is nearly nothing."""

    def __init__(self, config: Config, digest: str) -> None:
        entries = [entry for _, _, its in snapshot_meters.sections(config) for entry in its]
        self.directory = Directory(snapshot.compile(config, digest) if entries else snapshot.compile(Config(), digest))
        self.money = any(entry.cap.endswith(" usd") for entry in entries)
        self.by_end_user = any(entry.per == "end_user" for entry in entries)
        self.by_conversation = any(entry.per == "conversation" for entry in entries)
        self.keys: dict[tuple[object, ...], list[str]] = {}


class Snapshots:
    """The buckets of records, by the digest of the configuration they were made under. Used from threads, one at a
    time."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._known: OrderedDict[str, _Known | None] = OrderedDict()

    def directory(self, digest: str) -> Directory | None:
        """None where the archive does not have it, or not as a version that this one reads."""
        known = self._of(digest)
        return None if known is None else known.directory

    def money_keys(self, record: Record) -> Sequence[str]:
        """The buckets of money that a record was charged to."""
        known = self._known.get(record.snapshot) or self._of(record.snapshot)
        if known is None or not known.money:
            return ()
        who = (
            *(record.tenant, record.key, record.project, record.alias),
            led_to(record.action) if record.action else "",
            record.end_user if known.by_end_user else "",
            record.conversation if known.by_conversation else "",
            record.started_ns // QUARTER_NS,  # wherever days begin, they begin with one
        )
        keys = known.keys.get(who)
        if keys is None:
            if len(known.keys) >= MOST_KNOWN:
                known.keys.clear()
            found = known.directory.keys_of(record)
            keys = known.keys[who] = [key for key, meter in found if meter.quantity == MONEY]
        return keys

    def _of(self, digest: str) -> _Known | None:
        if digest not in self._known:
            try:
                self._known[digest] = _Known(archive.read(self._state_dir, digest), digest)
            except (ConfigError, OSError):
                self._known[digest] = None
            while len(self._known) > KEPT_SNAPSHOTS:
                self._known.popitem(last=False)
        self._known.move_to_end(digest)
        return self._known[digest]


class KeeperMeters:
    """Made inside the running loop."""

    def __init__(self, folder: Path, written: str, clock: Clock, log: Log) -> None:
        """`written`: `stores.meters`. Raises ConfigError, OSError."""
        self._folder = folder
        self._log = log
        self._clock = clock
        self._state_id = state_dir.state_id(folder)
        self._store: MeterStore = meter_stores.open_store(written, folder, f"{self._state_id}:keeper")
        self._snapshots = Snapshots(folder)
        self._problem = ""
        self._drift_told = 0
        self.drift = Drift(self._snapshots.money_keys)
        self._survey_s = self._clock.monotonic_s() + SURVEY_FIRST_S
        self.buckets: dict[str, tuple[int, int]] = {}
        """Level and quantity → how many buckets there are, and how many of them are nearly used up."""
        self.reconciling = False
        """The store grants nothing yet, and it is to be looked at again soon."""
        self.unsettled = 0
        """Dead workers whose leases could not be given back yet."""

    async def settle(self, journals: list[str]) -> list[str]:
        """Gives back what the writers of these journals, all dead and recovered, had leased; returns those that are
        done."""
        done: list[str] = []
        try:
            for journal in journals:
                leases = await settling.settle(
                    self._store,
                    f"{self._state_id}:{journal}",
                    self._folder / "journal" / journal,
                    self._snapshots.directory,
                    self._clock,
                )
                if leases:
                    self._log.info("leases_settled", journal=journal, buckets=leases)
                self.drift.over(journal)
                done.append(journal)
        except (MeterStoreDown, OSError) as error:
            self.failed(error)
        else:
            self.goes_on()
        self.unsettled = len(journals) - len(done)
        return done

    def seen(self, journal: str, begin: Position, end: Position, records: Sequence[tuple[int, Record]]) -> None:
        """What the ledger reads."""
        self.drift.seen(journal, begin, end, records)

    async def grants(self) -> bool:
        """Whether the store grants; True also where it does not answer."""
        try:
            return await self._store.reconciled()
        except (MeterStoreDown, OSError):
            return True

    async def reconcile(self, ledger: Ledger) -> None:
        """Lets a store grant again that may have lost something: once every worker that lives has told its leases
        again, and all that died are settled, it is raised to what the ledger says."""
        try:
            if await self._store.reconciled():
                self.reconciling = False
                return
            self.reconciling = True
            restated = await self._store.restated()
            live = []
            for path in directories(self._folder):
                state = ledger.manifest.journals.get(path.name)
                if f"{self._state_id}:{path.name}" in restated and writer_lives(path):
                    live.append(path.name)
                elif state is None or not state.settled:
                    return
            while await asyncio.to_thread(ledger.add):  # what is in the ledger is to reach beyond what was restated
                pass
            now_ns = self._clock.wall_ns()
            sums = await asyncio.to_thread(
                ledger_sums.spent, self._folder, self._state_id, live, self._snapshots.directory, now_ns
            )
            await self._store.reconcile(sums, now_ns // settling.SECOND_NS)
            self._log.info("meters_reconciled", buckets=len(sums), workers=len(live))
            self.reconciling = False
        except (MeterStoreDown, LedgerUnreadable, OSError) as error:
            self.failed(error)
        else:
            self.goes_on()

    async def before_pass(self) -> None:
        """Asks what the workers told of their money; a store that does not answer is asked again."""
        try:
            await self.drift.ask(self._store)
        except (MeterStoreDown, OSError) as error:
            self.failed(error)

    def after_pass(self) -> None:
        """Compares that with the records."""
        self.drift.compare(self._state_id)
        nanos = self.drift.nanos
        if nanos != self._drift_told:
            for (journal, bucket), more in list(self.drift.wrong.items())[:MOST_TOLD]:
                self._log.error("meters_drifted", journal=journal, bucket=bucket, told_beyond_records_nanos=more)
            self._drift_told = nanos

    def begin_anew(self) -> None:
        """The journals are read again from where the ledger is."""
        self.drift = Drift(self._snapshots.money_keys)

    async def look_over(self, ledger: Ledger | None) -> None:
        """Now and then: counts the buckets, drops those whose window is long over, and gives back what a dead worker
        got only after its leases were given back, by what it had sent before."""
        now_s = self._clock.monotonic_s()
        if now_s < self._survey_s:
            return
        try:
            states = await self._store.scan()
            found = await asyncio.to_thread(survey.survey, states, self._clock.wall_ns())
            await settling.drop(self._store, found.over, self._clock)
        except (MeterStoreDown, OSError) as error:
            self.failed(error)
            return
        self.buckets = {
            f"{kind.level} {kind.quantity}": (count, found.nearly_used_up.get(kind, 0))
            for kind, count in found.buckets.items()
        }
        if ledger is not None and (late := self._late(found.owners, ledger)):
            await self.settle(late)
        took_s = self._clock.monotonic_s() - now_s
        self._survey_s = now_s + max(SURVEY_EVERY_S, SURVEY_SHARE * took_s)

    def _late(self, owners: Iterable[str], ledger: Ledger) -> list[str]:
        """Journals that were settled, and perhaps dropped since, whose writers have leases all the same."""
        ours = [name for state_id, _, name in (owner.partition(":") for owner in owners) if state_id == self._state_id]
        known = ledger.manifest.journals
        return [
            name
            for name in ours
            if (known[name].settled if name in known else not (self._folder / "journal" / name).exists())
        ]

    def failed(self, error: Exception) -> None:
        """Told once, until it is another."""
        if str(error) != self._problem:
            self._log.error("meters_failed", error=str(error))
        self._problem = str(error)

    def goes_on(self) -> None:
        """The store answers."""
        if self._problem:
            self._log.info("meters_go_on")
        self._problem = ""

    async def close(self) -> None:
        """Lets go of the store."""
        await within(self._store.close(), 2.0)

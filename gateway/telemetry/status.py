"""What the supervisor knows beside the records: workers, configuration, journals. Plain values, to be exported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gateway.telemetry.gauges import KeeperGauges, WorkerGauges
from gateway.telemetry.metrics import Rising

METER_COUNTS: Final = ("meter_exchanges", "meter_failures", "meter_waits", "meter_refusals", "meter_recalls")
"""Gauges of a worker that count what its meters did."""
CONTENT_COUNTS: Final = ("content_kept", "content_refused", "content_unmasked")
"""Gauges of a worker that count what became of what was said."""


class WorkerStatus:
    """One worker slot, over all processes that were in it."""

    __slots__ = (
        *(
            "checks",
            "content",
            "cpu_s",
            "gauges",
            "http_errors",
            "loop_lag_s",
            "meters",
            "starts",
            "unrecorded",
            "unwritten",
        ),
        "up",
    )

    def __init__(self) -> None:
        self.up = False
        self.starts = 0
        self.gauges = WorkerGauges()
        self.loop_lag_s = 0.0
        self.cpu_s = Rising()
        self.unwritten = Rising()
        self.unrecorded = Rising()
        self.http_errors: dict[str, Rising] = {}
        self.checks: dict[str, Rising] = {}
        """By kind of check and what is counted, as in its gauges."""
        self.meters = {name: Rising() for name in METER_COUNTS}
        """By the names of `METER_COUNTS`."""
        self.content = {name: Rising() for name in CONTENT_COUNTS}
        """By the names of `CONTENT_COUNTS`."""

    def started(self) -> None:
        """A process serves in this slot."""
        self.up = True
        self.starts += 1

    def beat(self, gauges: WorkerGauges, loop_lag_s: float) -> None:
        """What the process said of itself."""
        self.gauges = gauges
        self.loop_lag_s = loop_lag_s
        self.cpu_s.read(gauges.cpu_s)
        self.unwritten.read(gauges.unwritten)
        self.unrecorded.read(gauges.unrecorded)
        for name, count in (*self.meters.items(), *self.content.items()):
            count.read(getattr(gauges, name))
        _read(self.http_errors, gauges.http_errors)
        _read(self.checks, gauges.checks)

    def ended(self) -> None:
        """The process is gone, and so is what it had open; what it counted stays."""
        self.up = False
        self.gauges = WorkerGauges(journal_reserve_ok=self.gauges.journal_reserve_ok)
        self.loop_lag_s = 0.0


def _read(totals: dict[str, Rising], now: Mapping[str, float]) -> None:
    """Those the process does not name too: it has not met them yet, but its predecessor had."""
    for name in totals.keys() | now.keys():
        totals.setdefault(name, Rising()).read(now.get(name, 0))


class JournalStatus:
    """Completeness and size of the journals since this supervisor started."""

    __slots__ = ("bytes", "closed", "damaged", "dropped_bytes", "dropped_segments", "gap", "opened", "recovered")

    def __init__(self) -> None:
        self.opened = 0
        self.closed = 0
        """By workers."""
        self.recovered = 0
        self.gap = 0
        self.damaged = 0
        self.bytes = 0
        self.dropped_bytes = 0
        self.dropped_segments = 0


class KeeperStatus:
    """The ledger and the meters, as the keeper said last."""

    __slots__ = ("age_s", "content_lost", "drift_checks", "gauges")

    def __init__(self) -> None:
        self.gauges = KeeperGauges()
        self.drift_checks = Rising()
        self.content_lost = Rising()
        self.age_s = 0.0
        """Since the ledger last held everything, or since the start."""

    def kept(self, gauges: KeeperGauges) -> None:
        """What the keeper said after a pass."""
        self.gauges = gauges
        self.drift_checks.read(gauges.drift_checks)
        self.content_lost.read(gauges.content_lost)


class ControlStatus:
    """What is made by API: how much of it there is, and whether more can come."""

    __slots__ = ("entries", "refused", "store_up", "up")

    def __init__(self) -> None:
        self.store_up = False
        self.entries = 0
        self.refused = 0
        self.up = False
        """The control process runs."""


class ChecksStatus:
    """The check process."""

    __slots__ = ("missing", "wanted", "up")

    def __init__(self) -> None:
        self.wanted = False
        """Some chain asks for what it answers."""
        self.up = False
        """It runs, and has loaded what there is."""
        self.missing: tuple[str, ...] = ()
        """What it could not load."""


class SpansStatus:
    """The exporter of spans."""

    __slots__ = ("lost", "sent", "up")

    def __init__(self) -> None:
        self.up = False
        """It runs, and what it sent last was taken."""
        self.sent = Rising()
        self.lost = Rising()

    def told(self, sent: int, lost: int, up: bool) -> None:
        """What it said of itself, since it started."""
        self.up = up
        self.sent.read(sent)
        self.lost.read(lost)


class Status:
    """Everything of the above."""

    __slots__ = (
        *("checks", "config_ok", "control", "digest", "journal", "keeper", "reloads_failed", "reloads_ok", "version"),
        *("spans", "warnings", "workers"),
    )

    def __init__(self, version: str) -> None:
        self.version = version
        self.digest = ""
        self.config_ok = True
        self.reloads_ok = 0
        self.reloads_failed = 0
        self.workers: dict[int, WorkerStatus] = {}
        self.journal = JournalStatus()
        self.keeper = KeeperStatus()
        self.control = ControlStatus()
        self.checks = ChecksStatus()
        self.spans = SpansStatus()
        self.warnings: dict[str, int] = {}
        """Of meters, by quantity."""

    def worker(self, slot: int) -> WorkerStatus:
        """The slot's status; a new one is down."""
        return self.workers.setdefault(slot, WorkerStatus())

    def warned(self, quantity: str) -> None:
        """A meter reached a share of its cap that it warns of."""
        self.warnings[quantity] = self.warnings.get(quantity, 0) + 1

    def configured(self, digest: str) -> None:
        """Every worker serves this configuration; the first one is no reload."""
        if self.digest and digest != self.digest:
            self.reloads_ok += 1
        self.digest = digest

    def accepted(self) -> None:
        """The files are good, and in force."""
        self.config_ok = True

    def refused(self) -> None:
        """A changed configuration could not be taken; the one before is still served."""
        self.reloads_failed += 1
        self.config_ok = False

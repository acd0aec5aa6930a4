"""The supervisor's eyes: follows every worker's journal and keeps metrics and the access log from what it reads.

Counters begin at zero with the supervisor. Journals that were already there belong to the run before: of these only the
requests that recovery closes are counted, each once, as opened and recovered. Recovery itself is not done here (it
waits on the disk); what it wrote is found here.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Final

from gateway.store.derive import Counting, Line, line
from gateway.store.journal_read import Tail, directories, writer_lives
from gateway.store.layout import RECOVERY
from gateway.store.records import Record
from gateway.store.retention import DEFAULT_BYTES, retain
from gateway.telemetry.export import Exposition
from gateway.telemetry.gauges import WorkerGauges
from gateway.telemetry.logs import Timestamps
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.status import JournalStatus, Status

POLL_RECORDS: Final = 100
"""Records read in one poll: a millisecond's work, for which a scrape may have to wait."""


class Observer:
    """Reads with `poll`, answers `scrape`; `status` takes what the supervisor knows of workers and configuration.

    `poll` may run in another thread than the rest, which then waits for its end."""

    def __init__(
        self, state_dir: Path, version: str, *, access_log: bool = True, retention_bytes: int = DEFAULT_BYTES
    ) -> None:
        """`access_log`: whether `poll` makes lines."""
        self.status = Status(version)
        self._state_dir = state_dir
        self._access_log = access_log
        self._retention_bytes = retention_bytes
        metrics = Metrics()
        self._counting = Counting(metrics)
        self._exposition = Exposition(metrics, self.status)
        self._times = Timestamps()
        self.behind = False
        self._lock = threading.Lock()
        """Held by who uses what follows, or counts."""
        self._tails: dict[Path, Tail] = {}
        self._done = JournalStatus()
        """Counts of tails that were closed."""
        earlier = directories(state_dir)
        self._unrecovered = {directory for directory in earlier if not (directory / RECOVERY).exists()}
        self._known = set(earlier)

    def poll(self, limit: int = POLL_RECORDS) -> list[Line]:
        """Reads what was written since the last time, `limit` records or a little more; returns their log lines.

        `behind` is then whether it stopped at the limit, so that the next poll is better not waited for.
        """
        lines: list[Line] = []
        with self._lock:
            self._discover(lines)
            left = limit
            for tail in list(self._tails.values()):
                while left > 0 and (records := tail.read(left)):
                    left -= len(records)
                    self._report(records, lines)
                if tail.finished:
                    self._leave(tail)
            self.behind = left <= 0
        return lines

    def tidy(self) -> None:
        """Drops the oldest segments beyond the retention size. A few file operations: once a minute is enough."""
        with self._lock:
            kept = retain(self._state_dir, self._tails.values(), self._retention_bytes)
            self._done.dropped_bytes += kept.dropped_bytes
            self._done.dropped_segments += kept.dropped_segments
            self._done.bytes = kept.kept_bytes

    def beat(self, slot: int, numbers: dict[str, float], loop_lag_ms: float) -> None:
        """Takes a worker's gauges (`WorkerGauges.flat`)."""
        self.status.worker(slot).beat(WorkerGauges.read(numbers), loop_lag_ms * 1e-3)

    def scrape(self, accept: str = "") -> tuple[str, bytes]:
        """The metrics page: content type and body."""
        with self._lock:
            self._sum_up()
            return self._exposition.scrape(accept)

    def close(self) -> None:
        """Closes the files at hand."""
        with self._lock:
            for tail in self._tails.values():
                tail.close()
            self._tails.clear()

    def _discover(self, lines: list[Line]) -> None:
        """Takes up directories that are new, and recoveries of those of the run before."""
        for directory in directories(self._state_dir):
            if directory not in self._known:
                self._known.add(directory)
                self._tails[directory] = Tail(directory)
            elif directory in self._unrecovered and (directory / RECOVERY).exists():
                self._unrecovered.discard(directory)
                self._report_recovery(directory, lines)

    def _report_recovery(self, directory: Path, lines: list[Line]) -> None:
        tail = Tail(directory, only_recovery=True)
        while records := tail.read():
            self._report(records, lines)
        self._done.opened += tail.recovered
        self._done.recovered += tail.recovered
        self._done.damaged += tail.damaged + tail.unreadable

    def _report(self, records: list[Record], lines: list[Line]) -> None:
        add = self._counting.add
        for record in records:
            add(record)
        if self._access_log:
            times = self._times
            lines += [line(record, times) for record in records]

    def _leave(self, tail: Tail) -> None:
        """Keeps the counts of a tail that is at its end."""
        del self._tails[tail.directory]
        _add(self._done, tail)
        self._done.gap += len(tail.open)

    def _sum_up(self) -> None:
        """Puts together what was counted by tails that are closed and by those that are not."""
        journal, done = self.status.journal, self._done
        for name in JournalStatus.__slots__:
            setattr(journal, name, getattr(done, name))
        for tail in self._tails.values():
            _add(journal, tail)
            if tail.open and not writer_lives(tail.directory):
                journal.gap += len(tail.open)


def _add(journal: JournalStatus, tail: Tail) -> None:
    journal.opened += tail.opened
    journal.closed += tail.closed - tail.recovered
    journal.recovered += tail.recovered
    journal.damaged += tail.damaged + tail.unreadable + tail.unopened

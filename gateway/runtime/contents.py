"""What is said, on its way: a worker's journal of it, and the keeper's table. Neither holds anything else up: where
they fail, content is not kept or kept later, and requests and records go on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.clock import Clock
from gateway.config.snapshot import Snapshot
from gateway.store.content import folder
from gateway.store.manifest import LedgerUnreadable
from gateway.telemetry.logs import Log

if TYPE_CHECKING:  # imports cryptography (the extra `content`)
    from gateway.store.content_journal import ContentJournal
    from gateway.store.content_table import ContentTable


class Contents:
    """A worker's journal of content: begun when a policy first asks for one."""

    def __init__(self, state_dir: Path, slot: int, clock: Clock, log: Log) -> None:
        self._state_dir = state_dir
        self._slot = slot
        self._clock = clock
        self._log = log
        self._journal: ContentJournal | None = None

    def of(self, snapshot: Snapshot) -> ContentJournal | None:
        """The journal; None where nobody asks, and where there can be none. Waits for the disk."""
        if self._journal is None and snapshot.keeps_content:
            try:
                from gateway.store.content_journal import ContentJournal

                self._journal = ContentJournal.create(self._state_dir, self._slot, self._clock)
            except (ImportError, OSError) as error:
                self._log.error("content_not_kept", error=str(error))
        return self._journal

    def stop(self) -> None:
        """Nothing may be kept after."""
        if self._journal is not None:
            self._journal.stop()


class ContentPasses:
    """The keeper's part."""

    def __init__(self, state_dir: Path, clock: Clock, log: Log) -> None:
        self._state_dir = state_dir
        self._clock = clock
        self._log = log
        self._table: ContentTable | None = None
        self._problem = ""
        self._away = ""
        self._lost = 0

    @property
    def lost(self) -> int:
        """Contents that could not be read or locked, since the keeper started."""
        return self._lost + (0 if self._table is None else self._table.lost)

    @property
    def rows(self) -> int:
        """Contents in the table."""
        return 0 if self._table is None else self._table.rows

    def add(self) -> bool:
        """Moves what there is; True when there is more. Waits for the disk; raises nothing that a disk can do."""
        if not folder(self._state_dir).is_dir():
            return False
        try:
            if self._table is None:
                from gateway.store.content_table import ContentTable

                self._table = ContentTable(self._state_dir, self._clock, os.environ)
            more = self._table.add()
            if not more:
                self._table.merge()
        except (ImportError, OSError, LedgerUnreadable) as error:
            self.close()
            if str(error) != self._problem:
                self._log.error("content_waits", error=str(error))
            self._problem = str(error)
            return False
        self._problem = ""
        if self._table.away != self._away:
            self._away = self._table.away
            self._log.error("content_not_kept", error=self._away)
        return more

    def close(self) -> None:
        """Begins anew with the next pass."""
        if self._table is not None:
            self._lost += self._table.lost
            self._table.close()
            self._table = None

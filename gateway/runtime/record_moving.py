"""Brings files of records and of agents' spans to where `stores.records` says, beside the keeper's passes: a store that
is slow, away or hangs holds nothing up. Until a file is there it stays here, and is read here."""

from __future__ import annotations

import threading
from pathlib import Path

from gateway.config.model_meters import RecordStore
from gateway.store import lake, manifest
from gateway.store.day_table import FOR_GOOD, ClassOf, Name
from gateway.store.ledger import Ledger
from gateway.store.manifest import RecordFile
from gateway.telemetry.logs import Log


def class_of(store: RecordStore) -> ClassOf:
    """How long records are kept, by the configuration."""
    names = {tenant: _class(days) for tenant, days in store.tenant_days.items()}
    others = _class(store.retention_days)
    return lambda record: names.get(record.tenant, others)


def _class(days: int) -> str:
    return str(days) if days else FOR_GOOD


class Moving:
    """One thread at a time does what there is to bring and to remove; the ledger notes it in its next pass."""

    def __init__(self, state_dir: Path, at: str, log: Log, table: Name = "records") -> None:
        """`at`: where to; empty: nowhere, and nothing is done. Spans get a folder of their own there."""
        records = table == "records"
        self._folder = manifest.records_folder(state_dir) if records else manifest.spans_folder(state_dir)
        self._at = f"{at.rstrip('/')}/spans" if at and not records else at
        self._table = table
        self._log = log
        self._thread: threading.Thread | None = None
        self._bring: list[RecordFile] = []
        self._brought: list[RecordFile] = []
        self._removed: list[RecordFile] = []
        self._problem = ""

    def go_on(self, ledger: Ledger) -> None:
        """Begins with what there is, unless it is at it still."""
        if not self._at or (self._thread is not None and self._thread.is_alive()) or self._brought or self._removed:
            return
        bring, remove = ledger.leaving(self._table)
        if bring or remove:
            self._bring = bring
            # A daemon: a store that hangs must not keep the keeper from ending.
            self._thread = threading.Thread(target=self._work, args=(bring, remove), daemon=True)
            self._thread.start()

    def note(self, ledger: Ledger) -> None:
        """Has the ledger note what was done since. Raises OSError."""
        if self._thread is not None and not self._thread.is_alive() and (self._brought or self._removed):
            ledger.brought(self._brought, self._at, self._removed, self._table)
            self._brought, self._removed = [], []

    @property
    def busy(self) -> list[RecordFile]:
        """Files that are being brought, or were and nobody has noted it: made one with others they come for nothing."""
        return self._bring if self._thread is not None and self._thread.is_alive() else self._brought

    def join(self) -> None:
        """Waits for the thread."""
        if self._thread is not None:
            self._thread.join()

    def _work(self, bring: list[RecordFile], remove: list[RecordFile]) -> None:
        try:
            for file in bring:
                lake.bring(self._folder / file.name, self._at, file.name)
                self._brought.append(file)
            for file in remove:
                lake.remove(file.at, file.name)
                self._removed.append(file)
        except (OSError, ImportError) as error:
            if str(error) != self._problem:
                self._log.error("records_store_failed", error=str(error), waiting=len(bring) - len(self._brought))
            self._problem = str(error)
            return
        if self._problem:
            self._log.info("records_store_goes_on")
        self._problem = ""

"""Ledgers for tests: written from journals, and read as they are on the disk."""

from __future__ import annotations

from pathlib import Path

from gateway.clock import Clock, ManualClock
from gateway.store.ledger import Ledger
from gateway.store.usage import ask
from gateway.store.usage_query import Question


def written(state_dir: Path, clock: Clock | None = None) -> Ledger:
    """A ledger that holds everything that is closed; the caller closes it."""
    ledger = Ledger(state_dir, clock or ManualClock())
    while ledger.add():
        pass
    return ledger


def update(state_dir: Path) -> int:
    """Brings the ledger up to date; returns how many rows it has."""
    ledger = written(state_dir)
    ledger.close()
    return ledger.manifest.rows


def ids(state_dir: Path) -> list[str]:
    """The ids of all requests in the ledger and the journals, those twice that are counted twice."""
    return [str(row[0]) for row in ask(state_dir, Question(by=("id",))).rows for _ in range(int(row[1]))]

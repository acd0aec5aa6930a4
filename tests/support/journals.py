"""Journals for tests: small segments, no thread, records that differ only in what a test is about."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

from gateway.clock import ManualClock
from gateway.store.journal import Allocate, Journal, allocate_blocks
from gateway.store.journal_read import Tail
from gateway.store.layout import MIN_SEGMENT_BYTES
from gateway.store.records import Attempt, Opened, Record
from gateway.store.recovery import recover

STARTED_NS = 1_800_000_000_123_000_000


def a_journal(
    state_dir: Path, *, slot: int = 0, segment_bytes: int = MIN_SEGMENT_BYTES, allocate: Allocate = allocate_blocks
) -> Journal:
    """A journal without its thread: tests call `refill` when it would."""
    return Journal.create(
        state_dir, slot, ManualClock(), segment_bytes=segment_bytes, allocate=allocate, background=False
    )


def opened(request_id: str) -> Opened:
    return Opened(request_id, STARTED_NS, "acme", "app", "chat", "small", "gpu-a", "d" * 64, True)


def an_attempt(endpoint: str = "http://vllm-0:8000", code: str = "ok", reason: str = "first") -> Attempt:
    return Attempt("gpu-a", endpoint, reason, "least_outstanding", [0, 1], 200, code, 0.25, 20.5, 80.0)


def a_record(request_id: str = "req_1", **columns: Any) -> Record:
    """An answered chat request with one attempt."""
    record = Record(
        id=request_id,
        started_ns=STARTED_NS,
        tenant="acme",
        key="app",
        endpoint="chat",
        alias="small",
        snapshot="d" * 64,
        backend="gpu-a",
        served_model="qwen3-8b",
        attempts=[
            Attempt("gpu-a", "http://vllm-0:8000", "first", "least_outstanding", [0, 1], 200, "ok", 0.25, 20.5, 80.0)
        ],
        input_tokens=12,
        output_tokens=34,
        status=200,
        code="ok",
        outcome="answered",
        first_byte_ms=20.5,
        total_ms=80.0,
        body_bytes=2_048,
        answer_bytes=692,
    )
    for name, value in columns.items():
        setattr(record, name, value)
    return record


def fill(journal: Journal, first_id: int = 0, segments: int = 1, size: int = 2_000) -> int:
    """Adds records until `segments` new segments were begun; returns the id after the last one written.

    The reserve is refilled meanwhile if it can be.
    """
    begun = journal.sequence
    for number in itertools.count(first_id):
        journal.add(a_record(f"req_{number}", conversation="c" * size))
        if journal.sequence >= begun + segments:
            return number + 1
        journal.refill()
    raise AssertionError


def dead_copy(journal: Journal, state_dir: Path) -> Path:
    """The directory `kill -9` would leave at this instant, under another state directory: a copy has nobody's lock."""
    return Path(shutil.copytree(journal.directory, state_dir / "journal" / journal.directory.name))


def read_all(directory: Path) -> tuple[Tail, list[Record]]:
    """Everything a directory holds now."""
    tail = Tail(directory)
    return tail, list(tail.drain())


def recovered(directory: Path) -> tuple[Tail, list[Record]]:
    """A directory after recovery, read as a whole."""
    tail = Tail(directory)
    records: list[Record] = []
    assert recover(tail, records.extend)
    return tail, records

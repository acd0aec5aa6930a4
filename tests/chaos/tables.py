"""What is in the ledger and in the tables of records and spans when a run has ended: read from the files that the
manifest names, and nowhere else."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gateway.store import duck, lake, ledger_rows, manifest, record_rows, span_rows, trace_read, unread
from gateway.store.journal_read import directories
from gateway.store.layout import ENDS
from gateway.store.manifest import RecordFile
from gateway.store.records import Record
from tests.chaos.agents import TRACE, Batch

Span = tuple[str, str]
"""Tenant and id."""


@dataclass
class Tables:
    """`ledger`: by id, how many rows and what they charge; `records`: every row; `unread`: records that are in journals
    only; `spans`: rows of each span; `told`: spans as `lockgate traces` would show them; `batches`: as they were sent;
    `elsewhere`: files that were brought to where `stores.records` says."""

    ledger: dict[str, tuple[int, int]] = field(default_factory=dict)
    records: Sequence[Record] = ()
    unread: int = 0
    spans: dict[Span, int] = field(default_factory=dict)
    told: dict[Span, int] = field(default_factory=dict)
    batches: Sequence[Batch] = ()
    elsewhere: int = 0


def read(state_dir: Path, batches: Sequence[Batch]) -> Tables:
    """All of it, when the gateway has ended."""
    now = manifest.read(state_dir)
    with tempfile.TemporaryDirectory() as folder, duck.connection(Path(folder)) as database:

        def paths(files: Sequence[RecordFile], here: Path) -> list[str]:
            for at in {file.at for file in files}:
                lake.open_to(database, at)
            return [lake.address(file.at or str(here), file.name) for file in files]

        tables = Tables(batches=batches, elsewhere=sum(bool(file.at) for file in (*now.records, *now.spans)))
        if now.files:
            rows = ledger_rows.from_parquet([str(manifest.folder(state_dir) / file.name) for file in now.files])
            sums = f"SELECT id, count(*), coalesce(sum(charge_nanos), 0) FROM ({rows}) GROUP BY id"
            tables.ledger = {row[0]: (row[1], int(row[2])) for row in database.execute(sums).fetchall()}
        if now.records:
            rows = record_rows.from_parquet(paths(now.records, manifest.records_folder(state_dir)))
            found = database.execute(f"SELECT {record_rows.as_stored()} FROM ({rows})").fetchall()
            tables.records = [record_rows.record_of(row) for row in found]
        if now.spans:
            rows = span_rows.from_parquet(paths(now.spans, manifest.spans_folder(state_dir)))
            counts = f"SELECT tenant, span, count(*) FROM ({rows}) GROUP BY tenant, span"
            tables.spans = {(row[0], row[1]): row[2] for row in database.execute(counts).fetchall()}
    pieces = (some for directory in directories(state_dir) for some in unread.entries(directory, now))
    tables.unread = sum(kind in ENDS for some in pieces for kind, _ in some)
    told = trace_read.read(state_dir, TRACE)
    tables.told = Counter((trace.tenant, span.span) for trace in told for span in trace.agent)
    return tables

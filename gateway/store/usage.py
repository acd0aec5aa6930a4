"""Answers who used what: sums over the ledger, and over what is still only in the journals.

Works beside a running gateway and takes no lock. The manifest says which rows are in files and where each journal is to
be read from, so a request is counted once, whatever moved in the meantime.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from gateway.store import duck, ledger_rows, manifest, unread
from gateway.store.compaction import DAY_NS, day_name
from gateway.store.journal_read import directories
from gateway.store.layout import ENDS
from gateway.store.manifest import LedgerFile, Manifest
from gateway.store.unread import Gone, again
from gateway.store.usage_query import SUMS, Question, query

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Value = str | int | Decimal
_T = TypeVar("_T")


class Answer(msgspec.Struct, frozen=True):
    """Rows, under `columns`: first what tells them apart, then `usage_query.SUMS`; the dearest of each window first."""

    columns: tuple[str, ...]
    rows: list[tuple[Value, ...]]


def ask(state_dir: Path, question: Question) -> Answer:
    """The sums. Raises LedgerUnreadable, OSError."""

    def fetch(database: DuckDBPyConnection, sql: str) -> Answer:
        return Answer(question.columns, database.execute(sql).fetchall())

    return again(lambda: _over(state_dir, question, fetch))


def write_parquet(state_dir: Path, question: Question, path: Path) -> int:
    """Writes the sums to a Parquet file, and returns how many rows; whole numbers are 64 bits there, dollars decimals.
    Raises as `ask` does."""

    def copy(database: DuckDBPyConnection, sql: str) -> int:
        counts = ", ".join(f"{name}::BIGINT AS {name}" for name in SUMS if not name.endswith("_usd"))
        target = ledger_rows.text(str(path))
        done = database.execute(
            f"COPY (SELECT * REPLACE ({counts}) FROM ({sql})) TO {target} (FORMAT parquet)"
        ).fetchone()
        return 0 if done is None else int(done[0])

    return again(lambda: _over(state_dir, question, copy))


def _over(state_dir: Path, question: Question, work: Callable[[DuckDBPyConnection, str], _T]) -> _T:
    """Does `work` with a database and the query."""
    import duckdb

    now = manifest.read(state_dir)
    ledger = manifest.folder(state_dir)
    paths = [str(ledger / file.name) for file in now.files if _concerns(file, question)]
    with tempfile.TemporaryDirectory(prefix="lockgate-usage-") as folder:
        fresh, shared = Path(folder) / "rows.json", Path(folder) / "shared.json"
        sources = [ledger_rows.nothing()]
        if paths:
            sources.append(ledger_rows.from_parquet(paths))
        if _write_unread(state_dir, now, fresh, shared):
            sources.append(ledger_rows.from_json([fresh], shared))
        with duck.connection(Path(folder)) as database:
            try:
                return work(database, query(question, " UNION ALL BY NAME ".join(f"({one})" for one in sources)))
            except duckdb.IOException as error:
                raise Gone(f"cannot read the ledger in {ledger}: {error}") from error
            except duckdb.Error as error:
                raise manifest.LedgerUnreadable(f"cannot read the ledger in {ledger}: {error}") from error


def _concerns(file: LedgerFile, question: Question) -> bool:
    """May rows of that day have begun within the question's time?"""
    since, until = question.since_ns, question.until_ns
    return (since is None or file.day >= day_name(since // DAY_NS)) and (
        until is None or file.day <= day_name(until // DAY_NS)
    )


def _write_unread(state_dir: Path, now: Manifest, rows: Path, shared: Path) -> bool:
    """Writes the rows of records that are only in journals to two files; False when there are none."""
    lines = ledger_rows.Lines()
    found = False
    with rows.open("wb") as file:
        for directory in directories(state_dir):
            for entries in unread.entries(directory, now):
                records = []
                for kind, payload in entries:
                    if kind in ENDS:
                        try:
                            records.append(ledger_rows.decode(payload))
                        except (msgspec.DecodeError, UnicodeDecodeError):
                            continue  # counted where the journal is verified
                file.write(lines.of(records, directory.name))
                found = found or bool(records)
    shared.write_bytes(lines.shared())
    return found

"""Hands out records of a state directory, as they were written: one `Query`, one iterator.

What the records table holds is read with DuckDB, day by day; what only the journals hold yet is added. Works beside a
running gateway, takes no lock and changes nothing. A record is there as soon as its request ended; those of requests
that run are not.
"""

from __future__ import annotations

import heapq
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gateway.store import duck, lake, manifest, record_rows, unread
from gateway.store.compaction import DAY_NS, day_name
from gateway.store.journal_read import directories
from gateway.store.layout import ENDS
from gateway.store.manifest import LedgerUnreadable, Manifest, RecordFile
from gateway.store.record_query import ANY, NEWEST, Query
from gateway.store.records import Record

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_FETCHED = 2_048
"""Rows in memory at a time."""


def records(state_dir: Path, query: Query) -> Iterator[Record]:
    """The records asked for, each once. In an order, the journals' are in memory, and no more than the limit.

    Raises LedgerUnreadable, SchemaTooNew, OSError; ImportError where DuckDB, or what reads the place of the records,
    is not installed.
    """
    now, fresh = unread.again(lambda: _fresh(state_dir, query))
    newest = query.order == NEWEST
    stored = _of_table(state_dir, now, query)
    found: Iterator[Record]
    if query.order == ANY:
        found = itertools.chain(fresh, stored)
    else:
        found = heapq.merge(sorted(fresh, key=_moment, reverse=newest), stored, key=_moment, reverse=newest)
    return itertools.islice(found, query.limit)


def record(state_dir: Path, record_id: str) -> Record | None:
    """The record of this id. Raises as `records` does."""
    return next(records(state_dir, Query(ids=(record_id,), order=ANY, limit=1)), None)


def _moment(record: Record) -> tuple[int, str]:
    return record.started_ns, record.id


def _fresh(state_dir: Path, query: Query) -> tuple[Manifest, list[Record]]:
    """The manifest, and those asked for that are in journals only."""
    now = manifest.read(state_dir)
    found = _of_journals(state_dir, now, query)
    if query.limit is None:
        return now, list(found)
    if query.order == ANY:
        return now, list(itertools.islice(found, query.limit))
    first = heapq.nlargest if query.order == NEWEST else heapq.nsmallest
    return now, first(query.limit, found, key=_moment)


def _of_journals(state_dir: Path, now: Manifest, query: Query) -> Iterator[Record]:
    decode = msgspec.msgpack.Decoder(Record).decode
    for directory in directories(state_dir):
        for entries in unread.entries(directory, now):
            for kind, payload in entries:
                if kind in ENDS:
                    try:
                        record = decode(payload)
                    except (msgspec.DecodeError, UnicodeDecodeError):
                        continue  # counted where the journal is verified
                    if query.holds(record):
                        yield record


def _of_table(state_dir: Path, now: Manifest, query: Query) -> Iterator[Record]:
    """In the order asked for."""
    days: dict[str, list[RecordFile]] = {}
    for file in now.records:
        if concerns(file.day, query):
            days.setdefault(file.day, []).append(file)
    if not days:
        return
    left = query.limit
    with tempfile.TemporaryDirectory(prefix="lockgate-records-") as folder, duck.connection(Path(folder)) as database:
        for day in sorted(days, reverse=query.order == NEWEST):
            for record in _of_day(database, state_dir, days[day], msgspec.structs.replace(query, limit=left)):
                yield record
                if left is not None:
                    left -= 1
            if left == 0:
                return


def _of_day(database: DuckDBPyConnection, state_dir: Path, files: list[RecordFile], query: Query) -> Iterator[Record]:
    import duckdb

    try:
        rows = database.execute(select(database, state_dir, files, query))
        while found := rows.fetchmany(_FETCHED):
            yield from map(record_rows.record_of, found)
    except duckdb.Error as error:
        raise LedgerUnreadable(f"cannot read the records of {files[0].day}: {error}") from error


def select(database: DuckDBPyConnection, state_dir: Path, files: list[RecordFile], query: Query) -> str:
    """SQL: what is asked for of these files, in the order of a record's columns. Raises SchemaTooNew, duckdb.Error."""
    paths = [lake.address(file.at or str(manifest.records_folder(state_dir)), file.name) for file in files]
    for at in {file.at for file in files}:
        lake.open_to(database, at)
    record_rows.check(database, paths)
    source = record_rows.from_parquet(paths)
    wanted = record_rows.where(query, source, database)
    return f"SELECT {record_rows.as_stored()} FROM ({source}){wanted}{record_rows.ordered(query)}"


def concerns(day: str, query: Query) -> bool:
    """May rows of that day be asked for?"""
    if query.since_ns is not None and day < day_name(query.since_ns // DAY_NS):
        return False
    if query.until_ns is not None and day > day_name(query.until_ns // DAY_NS):
        return False
    if query.before is not None and day > day_name(query.before[0] // DAY_NS):
        return False
    days = _days_of(query.ids)
    return days is None or day in days


def _days_of(ids: tuple[str, ...]) -> set[str] | None:
    """Days on which requests of these ids may have begun; None: any. An id says when it was made."""
    days = set()
    for one in ids:
        try:
            millisecond = int(one.removeprefix("req_")[:12], 16) if len(one) == len("req_") + 30 else -1
        except ValueError:
            millisecond = -1
        if millisecond < 0:
            return None
        number = millisecond * 10**6 // DAY_NS
        days |= {day_name(number + shift) for shift in (-1, 0, 1)} | {day_name(-1)}
    return days or None

"""The records table's part of a pass: its rows. What becomes of its files is in `day_table`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.clock import Clock
from gateway.store import record_rows
from gateway.store.day_table import ClassOf, DayTable, Name
from gateway.store.records import Record

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SCHEMA: Final = f"{record_rows.SCHEMA_KEY}: '{record_rows.SCHEMA}'"


class RecordTable(DayTable[Record]):
    """For one writer."""

    name: Name = "records"

    def __init__(
        self, folder: Path, database: Callable[[], DuckDBPyConnection], clock: Clock, class_of: ClassOf, *, moves: bool
    ) -> None:
        super().__init__(folder, database, clock, class_of, moves=moves, schema=_SCHEMA)

    def _began_ns(self, row: Record) -> int:
        return row.started_ns

    def _lines(self, rows: Sequence[Record]) -> bytes:
        return record_rows.lines(rows)

    def _from_json(self, path: Path) -> str:
        return record_rows.from_json(path)

    def _from_parquet(self, paths: Sequence[str]) -> str:
        return f"{record_rows.from_parquet(paths)} {record_rows.SORTED}"

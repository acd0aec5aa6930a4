"""Records as files for other programs: CSV, JSON lines, Parquet."""

from __future__ import annotations

import csv
import io
import json
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from gateway.cli.admin_table import Item

_LISTS = ("attempts", "readings")


def write(items: Iterable[Item], form: str, output: Path | None) -> int:
    """Writes the items to a file, or to standard output where there is none; returns how many. `parquet` needs a file.
    Raises OSError."""
    if form == "parquet":
        assert output is not None
        return _parquet(items, output)
    lines = _csv if form == "csv" else _json
    if output is None:
        return lines(items, sys.stdout)
    with output.open("w", encoding="utf-8", newline="") as file:
        return lines(items, file)


def _csv(items: Iterable[Item], file: IO[str]) -> int:
    from gateway.store.record_rows import COLUMNS

    names = [column.name for column in COLUMNS]
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(names)
    count = 0
    for item in items:
        writer.writerow([json.dumps(item[name]) if name in _LISTS else item[name] for name in names])
        count += 1
    return count


def _json(items: Iterable[Item], file: IO[str] | io.TextIOBase) -> int:
    count = 0
    for item in items:
        file.write(json.dumps(item) + "\n")
        count += 1
    return count


def _parquet(items: Iterable[Item], output: Path) -> int:
    """By way of JSON lines, which DuckDB reads with the columns' types."""
    from gateway.store import duck
    from gateway.store.ledger_rows import text
    from gateway.store.record_rows import COLUMNS

    kinds = ", ".join(f"\"{column.name}\": '{column.kind.format('BIGINT')}'" for column in COLUMNS)
    with tempfile.TemporaryDirectory(prefix="lockgate-records-") as folder:
        rows = Path(folder) / "rows.json"
        with rows.open("w", encoding="utf-8") as file:
            count = _json(items, file)
        options = f"format = 'newline_delimited', maximum_object_size = 2097152, columns = {{{kinds}}}"
        source = f"SELECT * FROM read_json({text(str(rows))}, {options})"
        with duck.connection(Path(folder)) as database:
            database.execute(f"COPY ({source}) TO {text(str(output))} (FORMAT parquet, COMPRESSION zstd)")
    return count

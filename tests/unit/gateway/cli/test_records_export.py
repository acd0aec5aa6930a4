from __future__ import annotations

import csv
import json
from pathlib import Path

import duckdb

from gateway.cli import records_export
from gateway.store.record_rows import COLUMNS
from gateway.store.record_view import named
from tests.support.journals import a_record

ITEMS = [named(a_record("req_1", charge_nanos=5)), named(a_record("req_2", conversation='a,"b"\n', input_tokens=None))]


def test_csv_has_every_column_and_lists_as_json(tmp_path: Path) -> None:
    assert records_export.write(ITEMS, "csv", tmp_path / "out.csv") == 2
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert list(first) == [column.name for column in COLUMNS]
    assert (first["charge_usd_nanos"], second["conversation"], second["input_tokens"]) == ("5", 'a,"b"\n', "")
    assert json.loads(first["attempts"])[0]["backend"] == "gpu-a"


def test_json_is_a_line_for_each(tmp_path: Path) -> None:
    assert records_export.write(ITEMS, "json", tmp_path / "out.json") == 2
    assert [json.loads(line) for line in (tmp_path / "out.json").read_text().splitlines()] == ITEMS


def test_parquet_has_the_types_of_the_table(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    assert records_export.write(ITEMS, "parquet", out) == 2
    with duckdb.connect() as database:
        kinds = database.execute(f"SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM '{out}')").fetchall()
        rows = database.execute(f"SELECT id, attempts[1].endpoint, started FROM '{out}' ORDER BY id").fetchall()
    assert kinds == [(column.name, column.kind.format("BIGINT")) for column in COLUMNS]
    assert rows[0][:2] == ("req_1", "http://vllm-0:8000")
    assert rows[0][2].year == 2027

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.store import duck, ledger_rows
from gateway.store.ledger_rows import COLUMNS, Lines, Row, Shared
from gateway.store.records import Record
from tests.support.journals import a_record


def stored(path: Path, *records: Record) -> list[dict[str, Any]]:
    """Records as they come out of the ledger."""
    rows, shared, parquet = path / "rows.json", path / "shared.json", path / "rows.parquet"
    lines = Lines()
    rows.write_bytes(lines.of([ledger_rows.decode(msgspec.msgpack.encode(record)) for record in records], "0-0193"))
    shared.write_bytes(lines.shared())
    with duck.connection(path, threads=1) as database:
        database.execute(f"COPY ({ledger_rows.from_json([rows], shared)}) TO '{parquet}' (FORMAT parquet)")
        found = database.execute(ledger_rows.from_parquet([str(parquet)]))
        names = [column[0] for column in found.description or []]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_every_letter_has_a_column(tmp_path: Path) -> None:
    letters = len(Row.__struct_fields__) + len(Shared.__struct_fields__) - 2
    assert letters == len(COLUMNS) == len({column.name for column in COLUMNS})
    (row,) = stored(tmp_path, a_record())
    assert list(row) == [column.name for column in COLUMNS]


def test_a_record_is_kept_with_what_bills_and_questions_need(tmp_path: Path) -> None:
    record = a_record(
        started_ns=1_800_000_000_123_456_789,
        project="support",
        end_user="u-7",
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        conversation="conv",
        cached_input_tokens=3,
        reasoning_tokens=4,
        charge_nanos=12_345,
        waste_tokens=5,
        waste_nanos=6,
        usage_from="running",
        action="cut",
        rows=7,
        held_input=10,
        held_output=38,
        stream=True,
        verdicts="input:pii:EMAIL_ADDRESS:mask:1.00:2",
        judge_input_tokens=50,
        judge_output_tokens=2,
        judge_nanos=345,
        judges="guard",
    )
    (row,) = stored(tmp_path, record)
    assert row == {
        "id": "req_1",
        "started": datetime(2027, 1, 15, 8, 0, 0, 123_456),
        "tenant": "acme",
        "project": "support",
        "key": "app",
        "end_user": "u-7",
        "model": "small",
        "served_model": "qwen3-8b",
        "backend": "gpu-a",
        "endpoint": "chat",
        "trace": "0af7651916cd43dd8448eb211c80319c",
        "conversation": "conv",
        "outcome": "answered",
        "code": "ok",
        "stream": True,
        "input_tokens": 12,
        "cached_input_tokens": 3,
        "output_tokens": 34,
        "reasoning_tokens": 4,
        "charge_nanos": 12_345,
        "waste_tokens": 5,
        "waste_nanos": 6,
        "usage_from": "running",
        "action": "cut",
        "snapshot": "d" * 64,
        "total_ms": 80.0,
        "rows": 7,
        "journal": "0-0193",
        "settled_input": 10,
        "settled_output": None,
        "verdicts": "input:pii:EMAIL_ADDRESS:mask:1.00:2",
        "judge_input_tokens": 50,
        "judge_output_tokens": 2,
        "judge_nanos": 345,
        "judges": "guard",
    }


def test_what_is_not_known_stays_unknown_and_an_alias_that_led_nowhere_is_not_kept(tmp_path: Path) -> None:
    (row,) = stored(tmp_path, Record(id="req_1", started_ns=0, alias="whatever a caller sent", outcome="refused"))
    assert row["started"] == datetime(1970, 1, 1)
    assert [row[name] for name in ("input_tokens", "charge_nanos", "rows")] == [None] * 3
    assert [row[name] for name in ("model", "tenant", "waste_tokens", "stream")] == ["", "", 0, False]


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64 - 1, -(2**63)])
def test_no_number_that_a_journal_holds_stops_the_ledger(tmp_path: Path, number: int) -> None:
    (row,) = stored(tmp_path, a_record(charge_nanos=number, started_ns=min(number, 2**63 - 1), rows=number))
    assert row["charge_nanos"] == row["rows"] == min(number, 2**63 - 1)


@pytest.mark.parametrize("text", ['"\\\n\r\t', "a\x00b", "\u2028é😀", "'; DROP TABLE x; --", "", "null"])
def test_texts_come_out_as_they_went_in(tmp_path: Path, text: str) -> None:
    (row,) = stored(tmp_path, a_record(end_user=text))
    assert row["end_user"] == text


def test_a_file_of_a_version_with_fewer_columns_reads_with_unknown_ones(tmp_path: Path) -> None:
    old = tmp_path / "old.parquet"
    with duck.connection(tmp_path) as database:
        database.execute(f"COPY (SELECT 'req_old' AS id, 7 AS charge_nanos) TO '{old}' (FORMAT parquet)")
        found = database.execute(f"SELECT id, charge_nanos, tenant FROM ({ledger_rows.from_parquet([str(old)])})")
        assert found.fetchall() == [("req_old", 7, None)]


def test_a_literal_cannot_be_broken_out_of() -> None:
    assert ledger_rows.text("it's") == "'it''s'"

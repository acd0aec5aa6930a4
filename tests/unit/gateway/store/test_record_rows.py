"""That rows come out of the table as they went in is shown by `test_day_table`."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.store import duck, record_rows
from gateway.store.records import Attempt, Record
from tests.support.journals import a_record, an_attempt


def test_every_column_of_a_record_is_in_the_table_and_said_what_it_is() -> None:
    named = [column.field for column in record_rows.COLUMNS if column.field]
    assert sorted(named) == sorted(Record.__struct_fields__), "a new column of a record: name it, and raise SCHEMA"
    assert len({column.name for column in record_rows.COLUMNS}) == len(record_rows.COLUMNS)
    assert all(column.meaning for column in record_rows.COLUMNS)


def read_back(path: Path) -> dict[str, Record]:
    with duck.connection(path.parent) as database:
        rows = database.execute(f"SELECT {record_rows.as_stored()} FROM ({record_rows.from_json(path)})").fetchall()
    records = [record_rows.record_of(row) for row in rows]
    assert len({record.id for record in records}) == len(records)
    return {record.id: record for record in records}


def test_records_that_share_much_and_those_of_several_calls_come_out_as_they_went_in(tmp_path: Path) -> None:
    first = [a_record(f"req_a{number}", tenant=f"tenant-{number % 3}") for number in range(9)]
    other = [a_record(f"req_b{number}", alias="large", status=500 + number % 2) for number in range(9)]
    path = tmp_path / "rows.json"
    path.write_bytes(record_rows.lines(first) + record_rows.lines([]) + record_rows.lines([*other, Record(id="req_c")]))
    assert read_back(path) == {record.id: record for record in (*first, *other, Record(id="req_c"))}


@pytest.mark.parametrize(
    "attempts",
    [
        [],
        [Attempt()],
        [an_attempt()],
        [Attempt(backend="gpu-a", loads=[3], draw=2**53 - 1, ended_ms=0.5)],
        [Attempt(backend="gpu-a", then="attempts_spent")],
        [Attempt(backend="gpu-a", out_of_service=[1])],
        [Attempt(backend="gpu-a", endpoints_left=2)],
        [an_attempt(code="connect_failed"), an_attempt(reason="retry")],
    ],
)
def test_whatever_the_attempts_were_they_come_out_as_they_went_in(tmp_path: Path, attempts: list[Attempt]) -> None:
    records = [a_record("req_before"), a_record("req_1", attempts=attempts), a_record("req_2", attempts=attempts)]
    path = tmp_path / "rows.json"
    path.write_bytes(record_rows.lines(records))
    assert read_back(path) == {record.id: record for record in records}

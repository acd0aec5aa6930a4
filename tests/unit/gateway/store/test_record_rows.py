"""That rows come out as they went in is shown by `test_day_table`."""

from __future__ import annotations

from gateway.store import record_rows
from gateway.store.records import Record


def test_every_column_of_a_record_is_in_the_table_and_said_what_it_is() -> None:
    named = [column.field for column in record_rows.COLUMNS if column.field]
    assert sorted(named) == sorted(Record.__struct_fields__), "a new column of a record: name it, and raise SCHEMA"
    assert len({column.name for column in record_rows.COLUMNS}) == len(record_rows.COLUMNS)
    assert all(column.meaning for column in record_rows.COLUMNS)

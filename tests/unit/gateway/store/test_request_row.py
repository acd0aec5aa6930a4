from __future__ import annotations

import msgspec

from gateway.store.records import Attempt, Record
from gateway.store.request_row import RequestRow
from tests.support.journals import a_record


def row_of(record: Record) -> RequestRow:
    row = RequestRow(record.id, record.started_ns)
    for name in record.__struct_fields__[2:]:
        setattr(row, name, getattr(record, name))
    return row


def test_a_row_begins_as_a_record_does() -> None:
    assert RequestRow("req_1", 5).fields() == msgspec.structs.astuple(Record("req_1", 5))


def test_what_is_written_of_a_row_is_what_is_written_of_the_record_with_its_values() -> None:
    numbers = {name: at for at, name in enumerate(Record.__struct_fields__) if type(getattr(Record(), name)) is int}
    texts = {name: f"the {name}" for name in Record.__struct_fields__ if type(getattr(Record(), name)) is str}
    unknown = {name: 10**12 + at for at, name in enumerate(Record.__struct_fields__) if getattr(Record(), name) is None}
    lists = {"attempts": [Attempt("gpu-a", loads=[1, 2])], "readings": [("tenant:acme|usd", 5, 9)]}
    for record in (
        a_record(),
        Record(**numbers, **texts, **unknown, **lists, first_byte_ms=1.5, total_ms=2.5),  # type: ignore[arg-type]
    ):
        assert msgspec.msgpack.encode(row_of(record).fields()) == msgspec.msgpack.encode(record)


def test_two_rows_never_share_their_lists() -> None:
    first, second = RequestRow("req_1", 5), RequestRow("req_2", 5)
    first.attempts.append(Attempt())
    first.readings.append(("tenant:acme|usd", 5, 9))
    assert second.fields() == RequestRow("req_2", 5).fields()

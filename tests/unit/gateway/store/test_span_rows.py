"""That rows come out as they went in is shown by `test_span_table`."""

from __future__ import annotations

import msgspec

from gateway.store import span_rows
from gateway.telemetry.agent_spans import AgentSpan


def test_every_field_of_a_span_has_its_column() -> None:
    fields = [field.name for field in msgspec.structs.fields(AgentSpan)]
    assert sorted(column.field for column in span_rows.COLUMNS if column.field) == sorted(fields)
    assert len({column.name for column in span_rows.COLUMNS}) == len(span_rows.COLUMNS)

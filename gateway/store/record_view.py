"""A record as people and programs are shown it: under the names of the table's columns, as plain values. Pure."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway.store.record_rows import ATTEMPT_NAMES, COLUMNS
from gateway.store.records import Record
from gateway.telemetry.logs import Timestamps

_TIMES: Final = Timestamps()


def named(record: Record) -> dict[str, Any]:
    """Every column by its name, in the table's order: the time as text, attempts and readings as maps."""
    made = {
        "started": _TIMES.format(record.started_ns),
        "trace": record.traceparent[3:35],
        "attempts": [
            dict(zip(ATTEMPT_NAMES, msgspec.structs.astuple(attempt), strict=True)) for attempt in record.attempts
        ],
        "readings": [dict(zip(("meter", "used", "cap"), reading, strict=True)) for reading in record.readings],
    }
    return {
        column.name: made[column.name] if column.name in made else getattr(record, column.field) for column in COLUMNS
    }

"""What becomes of files is shown by `test_record_table` and `test_span_table`."""

from __future__ import annotations

import msgspec

from gateway.store.day_table import TABLES
from gateway.store.manifest import Manifest


def test_each_table_has_its_lists_in_the_manifest() -> None:
    fields = {field.name for field in msgspec.structs.fields(Manifest)}
    assert {name for table in TABLES for name in (table, f"{table}_replaced")} <= fields

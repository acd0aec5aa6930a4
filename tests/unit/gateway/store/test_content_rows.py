from __future__ import annotations

from pathlib import Path

import duckdb

from gateway.store import content_rows
from gateway.store.content_rows import Row


def test_rows_come_out_of_a_file_as_they_went_in_by_tenant_and_time(tmp_path: Path) -> None:
    rows = [
        Row("req_2", 5, "globex", "full", "k1", bytes(range(256)), 30),
        Row("req_1", 2**63 - 1, "acme", "masked", "k2", b"", 30),
        Row("req_0", 7, "acme", "full", "k2", b"'\\\"", 30),
    ]
    (tmp_path / "rows").write_bytes(content_rows.lines(rows))
    parquet = str(tmp_path / "rows.parquet")
    with duckdb.connect() as database:
        database.execute(f"COPY ({content_rows.from_json(tmp_path / 'rows')}) TO '{parquet}' (FORMAT parquet)")
        found = database.execute(content_rows.from_parquet([parquet])).fetchall()
    assert found == [(row.id, row.started_ns, row.tenant, row.how, row.key_id, row.locked) for row in reversed(rows)]

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.table_files import Database, TableFiles


@pytest.fixture
def files(tmp_path: Path) -> Iterator[TableFiles]:
    database = Database(tmp_path)
    yield TableFiles(tmp_path / "table", database, ", KV_METADATA {a: 'b'}")
    database.close()


def test_a_file_is_there_whole_with_its_rows_and_bytes(files: TableFiles) -> None:
    rows, size = files.write("x=1/y=2/1.parquet", "SELECT * FROM range(5)")
    path = files.folder / "x=1" / "y=2" / "1.parquet"
    assert (rows, size) == (5, path.stat().st_size)
    assert [each.name for each in path.parent.iterdir()] == ["1.parquet"]


def test_what_cannot_be_written_leaves_nothing(files: TableFiles) -> None:
    with pytest.raises(OSError, match=r"cannot write .*table: .*no space left"):
        files.write("d/1.parquet", "SELECT error('no space left')")
    assert list((files.folder / "d").iterdir()) == []


def test_what_is_not_known_is_swept_away_and_nothing_else(files: TableFiles) -> None:
    files.write("d/1.parquet", "SELECT 1")
    files.write("d/2.parquet", "SELECT 1")
    for name in ("d/3.new", "lock"):
        (files.folder / name).write_text("")
    files.sweep({"d/1.parquet"})
    assert sorted(path.name for path in files.folder.rglob("*") if path.is_file()) == ["1.parquet", "lock"]

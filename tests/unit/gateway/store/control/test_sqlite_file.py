from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.store.control.sqlite_file import ControlFile, explained


def test_a_file_that_may_not_be_written_is_told_as_that(tmp_path: Path) -> None:
    path = tmp_path / "c"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("CREATE TABLE u (x)")
        assert "c cannot be written: it or its file system is read-only" in explained(caught.value, path)


@pytest.mark.parametrize(
    ("number", "what"),
    [
        (errno.ENOSPC, "the disk is full: nothing was changed; make room on it"),
        (errno.EROFS, "it or its file system is read-only, or belongs to another user"),
        (errno.EACCES, "it or its file system is read-only, or belongs to another user"),
        (errno.EMFILE, "control.sqlite: Too many open files"),
    ],
)
def test_an_error_of_the_system_is_told_with_what_to_do(number: int, what: str) -> None:
    assert what in explained(OSError(number, os.strerror(number)), Path("control.sqlite"))


def test_a_transaction_that_fails_leaves_nothing_and_lets_others_write(tmp_path: Path) -> None:
    file, other = (ControlFile(tmp_path / "c", 0.2) for _ in range(2))
    connection = file.make()
    with file.writing(connection):
        connection.execute("CREATE TABLE t (x)")

    def fail() -> None:
        with file.writing(connection):
            connection.execute("INSERT INTO t VALUES (1)")
            connection.execute("INSERT INTO never VALUES (1)")

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        fail()
    with other.writing(other.connection()):
        other.connection().execute("INSERT INTO t VALUES (2)")
    assert connection.execute("SELECT x FROM t").fetchall() == [(2,)]
    file.close()
    other.close()

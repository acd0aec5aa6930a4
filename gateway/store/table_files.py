"""Writes the Parquet files of a table: each whole, on the disk when it is named, never changed after."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.store import duck, manifest
from gateway.store.ledger_rows import text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MEMORY: Final = "256MB"


class Database:
    """DuckDB for a writer: loaded when there is something to write for the first time."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where it may spill."""
        self._folder = folder
        self._closing = contextlib.ExitStack()
        self._made: DuckDBPyConnection | None = None

    def __call__(self) -> DuckDBPyConnection:
        if self._made is None:
            self._made = self._closing.enter_context(duck.connection(self._folder, threads=1, memory=MEMORY))
        return self._made

    def close(self) -> None:
        """It may not be asked for after."""
        self._closing.close()


class TableFiles:
    """The files under one folder."""

    def __init__(self, folder: Path, database: Callable[[], DuckDBPyConnection], options: str = "") -> None:
        """`options`: of DuckDB's COPY, beside those of every table."""
        self.folder = folder
        self._database = database
        self._options = options

    def write(self, name: str, rows: str) -> tuple[int, int]:
        """Makes a file of what a query gives; its rows and its bytes. Raises OSError, and then has left none."""
        path = self.folder / name
        draft = path.with_suffix(".new")
        made = not path.parent.exists()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            counted = self._copy(rows, draft)
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        manifest.sync_folder(path.parent)
        if made:
            manifest.sync_folder(path.parent.parent)
            manifest.sync_folder(self.folder)
        return counted, path.stat().st_size

    def sweep(self, known: Collection[str]) -> None:
        """Removes what a writer that was killed left: files that are not among the known ones."""
        for path in self.folder.rglob("*"):
            if path.suffix in (".parquet", ".new") and str(path.relative_to(self.folder)) not in known:
                with contextlib.suppress(OSError):
                    path.unlink()

    def _copy(self, rows: str, draft: Path) -> int:
        import duckdb

        try:
            done = (
                self._database()
                .execute(f"COPY ({rows}) TO {text(str(draft))} (FORMAT parquet, COMPRESSION zstd{self._options})")
                .fetchone()
            )
        except duckdb.Error as error:  # a disk that is full, a file that was damaged
            raise OSError(f"cannot write {self.folder}: {error}") from error
        return 0 if done is None else int(done[0])

"""A table of Parquet files by the days they are kept and the day on which their rows began: what becomes a file of it,
which files become one, which are let go.

It changes manifests and never publishes one: the ledger does, so that all tables are exact together. Rows of a file
that was made of several are sorted by tenant and time, in row groups small enough that a reader passes over other
tenants'; new ones are written as their rows came.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from gateway.clock import Clock
from gateway.store import compaction
from gateway.store.compaction import DAY_NS, day_name
from gateway.store.manifest import Manifest, RecordFile, Replaced
from gateway.store.table_files import TableFiles

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

KEPT_DAYS: Final = 400
"""How long a row is kept where nothing else is said: a year, and time to look at it."""
FOR_GOOD: Final = "keep"
"""The class of what is never dropped."""

LARGEST: Final = 250_000
"""Rows from which on a file is left as it is: what a writer under load adds (`ledger.PASS_ENTRIES`) is written again
once, since to sort it costs as much as to write it the first time."""
MOVES_ROWS: Final = 250_000
MOVES_S: Final = 3_600
"""A file goes elsewhere when it has so many rows, or its first row is so old: what is there is not merged again."""


class Owned(Protocol):
    """A row of somebody's."""

    @property
    def tenant(self) -> str: ...


Row = TypeVar("Row", bound=Owned)
Row_contra = TypeVar("Row_contra", bound=Owned, contravariant=True)
ClassOf = Callable[[Owned], str]
"""How many days a row is kept, as a folder is named: `400`, or `keep`."""


class Rows(Protocol[Row_contra]):
    """How rows become files: `record_rows`, `span_rows`, `content_rows`."""

    @property
    def OPTIONS(self) -> str: ...  # noqa: N802 - a module's constant
    def began_ns(self, row: Row_contra, /) -> int: ...
    def lines(self, rows: Iterable[Row_contra], /) -> bytes: ...
    def from_json(self, path: Path, /) -> str: ...
    def merged(self, paths: Sequence[str], /) -> str: ...


Name: TypeAlias = Literal["records", "spans"]
"""Of a table: its list in the manifest; `NAME_replaced` are the files that were."""
TABLES: Final[tuple[Name, ...]] = ("records", "spans")
Part: TypeAlias = tuple[str, int]
"""A class, and the number of a day."""


class DayTable(Generic[Row]):
    """For one writer."""

    def __init__(
        self,
        folder: Path,
        database: Callable[[], DuckDBPyConnection],
        clock: Clock,
        class_of: Callable[[Row], str],
        rows: Rows[Row],
        *,
        name: Name = "records",
        moves: bool = False,
        merges_bytes: int | None = None,
    ) -> None:
        """`merges_bytes`: the most that is read to make one file of many."""
        self._folder = folder
        self._files = TableFiles(folder, database, rows.OPTIONS)
        self._clock = clock
        self._class_of = class_of
        self._rows = rows
        self._name: Name = name
        self._moves = moves
        self._merges_bytes = merges_bytes
        self._taken: dict[Part, list[bytes]] = {}
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def take(self, rows: Iterable[Row]) -> None:
        """Keeps these for `write`."""
        parts: dict[Part, list[Row]] = {}
        for row in rows:
            parts.setdefault((self._class_of(row), self._rows.began_ns(row) // DAY_NS), []).append(row)
        for part, its in parts.items():
            self._taken.setdefault(part, []).append(self._rows.lines(its))

    def write(self, new: Manifest) -> None:
        """Adds files of what was taken. Raises OSError."""
        rows = self._folder / "rows.new"
        taken, self._taken = self._taken, {}
        try:
            for (kept, day), pieces in taken.items():
                with rows.open("wb") as file:
                    file.writelines(pieces)
                partition = f"class={kept}/day={day_name(day)}"
                self._add_file(new, partition, self._rows.from_json(rows), self._clock.wall_ns() // 10**9)
        finally:
            rows.unlink(missing_ok=True)

    def merged(self, now: Manifest, busy: Collection[RecordFile] = ()) -> Manifest | None:
        """With one file in place of many small ones; None when they are good as they are. `busy`: files that are being
        brought elsewhere, which would be for nothing. Raises OSError."""
        here = [file for file in self._of(now) if not file.at and file not in busy]
        for group in map(self._bounded, self._due(here) or compaction.mergeable(here, self._today(), LARGEST)):
            if len(group) < 2:
                continue
            new = self._without(now, group)
            paths = [str(self._folder / file.name) for file in group]
            rows = self._rows.merged(paths)
            self._add_file(new, group[0].partition, rows, min(file.since_s for file in group))
            return new
        return None

    def expired(self, now: Manifest) -> Manifest | None:
        """Without the days that were kept long enough; None when there are none."""
        if not self._of(now):
            return None
        # A clock that leapt ahead must not empty the table: it counts from the newest day there is, if that is earlier.
        today = date.fromisoformat(min(self._today(), max(file.day for file in self._of(now))))
        over = [
            file
            for file in self._of(now)
            if file.kept_days is not None and (today - date.fromisoformat(file.day)).days > file.kept_days
        ]
        return self._without(now, over) if over else None

    def leaving(self, now: Manifest) -> list[RecordFile]:
        """Files that are to be brought elsewhere."""
        return [file for file in self._of(now) if self._moves and not file.at and self._leaves(file)]

    def left(self, now: Manifest, old_s: int) -> list[RecordFile]:
        """Files elsewhere that nobody reads any more since `old_s`."""
        return [one.file for one in self._replaced(now) if one.file.at and one.at_s < old_s]

    def brought(self, now: Manifest, files: Sequence[RecordFile], at: str, removed: Collection[RecordFile]) -> Manifest:
        """With these files elsewhere, those here to be removed after a while, and without those removed there."""
        here = [file for file in self._of(now) if file in files]  # merged meanwhile, one is brought for nothing
        new = self._without(now, here)
        self._of(new).extend(msgspec.structs.replace(file, at=at) for file in here)
        lost = [msgspec.structs.replace(file, at=at) for file in files if file not in here]
        at_s = self._clock.wall_ns() // 10**9
        kept = [one for one in self._replaced(new) if one.file not in removed]
        return self._with(new, replaced=[*kept, *(Replaced(file, at_s) for file in lost)])

    def let_go(self, new: Manifest, old_s: int) -> tuple[Manifest, list[Path]]:
        """Without the replaced files here that nobody reads any more since `old_s`, and where these are."""
        gone = [one for one in self._replaced(new) if one.at_s < old_s and not one.file.at]
        if gone:
            left = [one for one in self._replaced(new) if one not in gone]
            new = self._with(new, replaced=left)
        return new, [self._folder / one.file.name for one in gone]

    def sweep(self, now: Manifest) -> None:
        """Removes what a writer that was killed left."""
        known = (*self._of(now), *(one.file for one in self._replaced(now)))
        self._files.sweep({file.name for file in known if not file.at})

    def _add_file(self, new: Manifest, partition: str, rows: str, since_s: int) -> None:
        # The random part keeps apart what several gateways, or one that was set back to a backup, bring to one place.
        name = f"{partition}/{new.next_number:06d}-{secrets.token_hex(4)}.parquet"
        new.next_number += 1
        self._of(new).append(RecordFile(name, *self._files.write(name, rows), since_s))

    def _without(self, now: Manifest, gone: Collection[RecordFile]) -> Manifest:
        at_s = self._clock.wall_ns() // 10**9
        return self._with(
            now,
            files=[file for file in self._of(now) if file not in gone],
            replaced=[*self._replaced(now), *(Replaced(file, at_s) for file in gone)],
        )

    def _of(self, manifest: Manifest) -> list[RecordFile]:
        return manifest.records if self._name == "records" else manifest.spans

    def _replaced(self, manifest: Manifest) -> list[Replaced]:
        return manifest.records_replaced if self._name == "records" else manifest.spans_replaced

    def _with(self, manifest: Manifest, *, replaced: list[Replaced], files: list[RecordFile] | None = None) -> Manifest:
        found = list(self._of(manifest)) if files is None else files
        return msgspec.structs.replace(manifest, **{self._name: found, f"{self._name}_replaced": replaced})

    def _due(self, here: Iterable[RecordFile]) -> list[list[RecordFile]]:
        """Small files of partitions of which one is to leave: they leave as one."""
        if not self._moves:
            return []
        parts: dict[str, list[RecordFile]] = {}
        for file in here:
            if file.rows < MOVES_ROWS:
                parts.setdefault(file.partition, []).append(file)
        return [files for files in parts.values() if len(files) > 1 and any(map(self._leaves, files))]

    def _bounded(self, group: list[RecordFile]) -> list[RecordFile]:
        """As many of them as may be read together."""
        if self._merges_bytes is None:
            return group
        sums = itertools.accumulate(file.bytes for file in group)
        return [file for file, total in zip(group, sums, strict=True) if total <= self._merges_bytes]

    def _leaves(self, file: RecordFile) -> bool:
        return file.rows >= MOVES_ROWS or self._clock.wall_ns() // 10**9 - file.since_s >= MOVES_S

    def _today(self) -> str:
        return day_name(self._clock.wall_ns() // DAY_NS)

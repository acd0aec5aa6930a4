"""Writes the ledger: reads every journal from where it stopped, and adds what was closed since as rows.

One writer per state directory holds `STATE/ledger/lock`. What makes it exact is in `manifest`, the columns in
`ledger_rows`. A pass costs 10 µs of CPU a record, all of it outside the workers.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from gateway.clock import Clock
from gateway.store import duck, ledger_rows, manifest
from gateway.store.journal_follow import Follower, Piece, Position
from gateway.store.journal_read import directories
from gateway.store.layout import CLOSED, ENTRY_HEAD, RECOVERED, WHOLE
from gateway.store.ledger_rows import Lines
from gateway.store.manifest import JournalState, LedgerFile, Manifest
from gateway.store.records import Record

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PASS_ENTRIES: Final = 60_000
"""Entries read in one pass, or a few more: bounds the memory of a writer that fell behind."""

DAY_NS: Final = 86_400 * 10**9

MERGE_FROM: Final = 8
"""So many files of a day of about one size become one: a row is written again once for each factor of eight."""
SMALLEST: Final = 4_096
LARGEST: Final = 4_000_000
"""Rows from which on a file is left as it is."""

KEEP_REPLACED_S: Final = 600
"""How long a file whose rows are in another is kept for who may be reading it."""

ENDS: Final = frozenset((CLOSED, WHOLE, RECOVERED))
"""The kinds of entries that are a record."""

_MEMORY: Final = "256MB"

Seen = Callable[[str, Position, Position, Sequence[tuple[int, Record]]], None]
"""(journal, begin, end, records) → None: the records that stand between two places of one segment of a journal, each
with the offset behind it."""


class LedgerBusy(Exception):
    """Another process writes this ledger."""


class Ledger:
    """The writer. `close` gives the lock back."""

    def __init__(self, state_dir: Path, clock: Clock, seen: Seen = lambda *_: None) -> None:
        """`seen` gets every record that is read, in order. Raises LedgerBusy, LedgerUnreadable, OSError."""
        self._state_dir = state_dir
        self._folder = manifest.folder(state_dir)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.manifest = manifest.read(state_dir)
        except BlockingIOError:
            os.close(self._lock)
            raise LedgerBusy(f"another process writes {self._folder}") from None
        except BaseException:
            os.close(self._lock)
            raise
        self._clock = clock
        self._seen = seen
        self._followers: dict[str, Follower] = {}
        self._closing = contextlib.ExitStack()
        self.unreadable = 0
        """Entries that are no record of any version that is known."""
        self._sweep()

    def close(self) -> None:
        """Nothing may be written after."""
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()
        self._closing.close()
        os.close(self._lock)

    def add(self) -> bool:
        """Adds what was closed since the last time; True when there is more. Raises OSError, and then has added
        nothing: to be tried again with a writer made anew."""
        self._discover()
        days: dict[int, list[bytes]] = {}
        lines = Lines()
        left = PASS_ENTRIES
        for follower in self._followers.values():
            while left > 0 and (piece := follower.piece()) is not None:
                self._take(follower.directory.name, piece, lines, days)
                left -= len(piece.entries)
        new = self.manifest
        changed = {name: state for name, state in self._states().items() if state != self.manifest.journals.get(name)}
        if days or changed:
            new = msgspec.structs.replace(new, files=list(new.files), journals=new.journals | changed)
            if days:
                self._write(new, lines, days)
            self._publish(new)
        for name in [name for name, follower in self._followers.items() if follower.finished]:
            self._followers.pop(name).close()
        return left <= 0

    def settled(self, journal: str) -> None:
        """Notes that what the journal's worker held was given back."""
        journals = self.manifest.journals
        states = {**journals, journal: msgspec.structs.replace(journals[journal], settled=True)}
        self._publish(msgspec.structs.replace(self.manifest, journals=states))

    def unsettled(self) -> list[str]:
        """Journals that are read to their end and whose workers' holds nobody has given back yet."""
        return [name for name, state in self.manifest.journals.items() if state.finished and not state.settled]

    def merge(self) -> bool:
        """Makes one file of many small ones of a day; True when it did, and there may be more to do."""
        for group in mergeable(self.manifest.files, day_name(self._clock.wall_ns() // DAY_NS)):
            new = msgspec.structs.replace(self.manifest, replaced=dict(self.manifest.replaced))
            paths = [str(self._folder / file.name) for file in group]
            merged = self._file(new, group[0].day, ledger_rows.from_parquet(paths))
            gone = {file.name for file in group}
            new.files = [file for file in new.files if file.name not in gone] + [merged]
            new.replaced |= dict.fromkeys(gone, self._clock.wall_ns() // 10**9)
            self._publish(new)
            return True
        return False

    # -- a pass

    def _discover(self) -> None:
        present = {path.name: path for path in directories(self._state_dir)}
        journals = self.manifest.journals
        if journals.keys() - present.keys():  # retention has dropped them: their names may come again
            kept = {name: state for name, state in journals.items() if name in present}
            self._publish(msgspec.structs.replace(self.manifest, journals=kept))
        for name, path in present.items():
            state = self.manifest.journals.get(name, JournalState())
            if name not in self._followers and not state.finished:
                self._followers[name] = Follower(path, state.position)

    def _take(self, journal: str, piece: Piece, lines: Lines, days: dict[int, list[bytes]]) -> None:
        decode = ledger_rows.decode
        records: list[tuple[int, Record]] = []
        by_day: dict[int, list[Record]] = {}
        segment, offset = piece.begin
        for kind, payload in piece.entries:
            offset += (ENTRY_HEAD.size + len(payload) + 3) & ~3
            if kind in ENDS:
                try:
                    record = decode(payload)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    self.unreadable += 1
                    continue
                records.append((offset, record))
                day = record.started_ns // DAY_NS
                if day in by_day:
                    by_day[day].append(record)
                else:
                    by_day[day] = [record]
        self._seen(journal, piece.begin, Position(segment, offset), records)
        for day, its in by_day.items():
            days.setdefault(day, []).append(lines.of(its, journal))

    def _states(self) -> dict[str, JournalState]:
        return {
            name: JournalState(*follower.position, finished=follower.finished)
            for name, follower in self._followers.items()
        }

    # -- files

    @cached_property
    def _database(self) -> DuckDBPyConnection:
        """Loaded when there is something to write for the first time."""
        return self._closing.enter_context(duck.connection(self._folder, threads=1, memory=_MEMORY))

    def _write(self, new: Manifest, lines: Lines, days: dict[int, list[bytes]]) -> None:
        """Adds files of rows to `new`."""
        rows, shared = self._folder / "rows.new", self._folder / "shared.new"
        try:
            shared.write_bytes(lines.shared())
            for day, pieces in days.items():
                with rows.open("wb") as file:
                    file.writelines(pieces)
                new.files.append(self._file(new, day_name(day), ledger_rows.from_json([rows], shared)))
        finally:
            rows.unlink(missing_ok=True)
            shared.unlink(missing_ok=True)

    def _file(self, new: Manifest, day: str, rows: str) -> LedgerFile:
        """A file of what the query gives, on the disk when this returns."""
        name = f"{day}/{new.next_number:06d}.parquet"
        new.next_number += 1
        path = self._folder / name
        draft = path.with_suffix(".new")
        made = not path.parent.exists()
        path.parent.mkdir(mode=0o700, exist_ok=True)
        try:
            counted = self._copy(rows, draft)
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
        manifest.sync_folder(path.parent)
        if made:
            manifest.sync_folder(self._folder)
        return LedgerFile(name, counted, path.stat().st_size)

    def _copy(self, rows: str, draft: Path) -> int:
        import duckdb

        try:
            done = self._database.execute(
                f"COPY ({rows}) TO {ledger_rows.text(str(draft))} (FORMAT parquet, COMPRESSION zstd)"
            ).fetchone()
        except duckdb.Error as error:  # a disk that is full, a file that was damaged
            raise OSError(f"cannot write the ledger: {error}") from error
        return 0 if done is None else int(done[0])

    def _publish(self, new: Manifest) -> None:
        old_s = self._clock.wall_ns() // 10**9 - KEEP_REPLACED_S
        gone = [name for name, at_s in new.replaced.items() if at_s < old_s]
        if gone:
            new = msgspec.structs.replace(
                new, replaced={name: at_s for name, at_s in new.replaced.items() if at_s >= old_s}
            )
        manifest.publish(self._state_dir, new)
        self.manifest = new
        for name in gone:
            (self._folder / name).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Removes what a writer that was killed left: files that are in no manifest."""
        known = {file.name for file in self.manifest.files} | self.manifest.replaced.keys()
        for path in self._folder.rglob("*"):
            name = str(path.relative_to(self._folder))
            if path.suffix in (".parquet", ".new") and name not in known:
                with contextlib.suppress(OSError):
                    path.unlink()


def mergeable(files: Sequence[LedgerFile], today: str) -> list[list[LedgerFile]]:
    """Groups of files that are better one: of today so many of a size, of another day all that are not far larger
    than the rest. Pure."""
    groups: list[list[LedgerFile]] = []
    tiers: dict[tuple[str, int], list[LedgerFile]] = {}
    for file in files:
        if file.rows < LARGEST:
            tiers.setdefault((file.day, _tier(file.rows) if file.day == today else 0), []).append(file)
    for (day, _), alike in tiers.items():
        if day == today:
            groups += [alike[:MERGE_FROM]] if len(alike) >= MERGE_FROM else []
            continue
        group: list[LedgerFile] = []
        rows = 0
        for file in sorted(alike, key=lambda file: file.rows):
            if group and file.rows > MERGE_FROM * rows:
                break
            group.append(file)
            rows += file.rows
        groups += [group] if len(group) > 1 else []
    return groups


def _tier(rows: int) -> int:
    tier, size = 0, SMALLEST
    while rows >= size:
        tier, size = tier + 1, size * MERGE_FROM
    return tier


def day_name(number: int) -> str:
    """The day of this number since the epoch, as the ledger's folders are named: `2026-11-22`; that of 1970 for days
    that no clock shows."""
    seconds = number * 86_400
    if not 0 <= seconds < 253_402_300_800:  # the year 10000
        seconds = 0
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")

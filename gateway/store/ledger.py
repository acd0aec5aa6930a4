"""Writes the ledger and the tables of records and spans: reads every journal from where it stopped, and adds what was
closed since.

One writer per state directory holds `STATE/ledger/lock`. What makes it exact is in `manifest`, the ledger's columns in
`ledger_rows`, the other tables in `day_table`. All of the work is done outside the workers.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.clock import Clock
from gateway.store import compaction, ledger_rows, manifest, record_rows
from gateway.store.compaction import DAY_NS, day_name
from gateway.store.day_table import KEPT_DAYS, ClassOf, DayTable, Name
from gateway.store.journal_follow import Follower, Piece, Position
from gateway.store.journal_read import directories
from gateway.store.layout import ENDS, ENTRY_HEAD
from gateway.store.ledger_rows import Lines
from gateway.store.manifest import JournalState, LedgerFile, Manifest, RecordFile
from gateway.store.records import Record
from gateway.store.span_table import SpanTable
from gateway.store.table_files import Database, TableFiles

PASS_ENTRIES: Final = 60_000
"""Entries read in one pass, or a few more: bounds the memory of a writer that fell behind."""

KEEP_REPLACED_S: Final = 600
"""How long a file whose rows are in another is kept for who may be reading it."""

Seen = Callable[[str, Position, Position, Sequence[tuple[int, Record]]], None]
"""(journal, begin, end, records) → None: the records that stand between two places of one segment of a journal, each
with the offset behind it."""


class LedgerBusy(Exception):
    """Another process writes this ledger."""


class Ledger:
    """The writer. `close` gives the lock back."""

    def __init__(
        self,
        state_dir: Path,
        clock: Clock,
        seen: Seen = lambda *_: None,
        class_of: ClassOf = lambda _: str(KEPT_DAYS),
        *,
        moves: bool = False,
    ) -> None:
        """`seen` gets every record that is read, in order; `class_of` says how long one is kept; `moves`: somebody
        brings files of records elsewhere (`moving`). Raises LedgerBusy, LedgerUnreadable, OSError."""
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
        self._database = Database(self._folder)
        self._files = TableFiles(self._folder, self._database)
        self._table: DayTable[Record] = DayTable(
            manifest.records_folder(state_dir), self._database, clock, class_of, record_rows, moves=moves
        )
        self._spans = SpanTable(state_dir, self._database, clock, class_of, moves=moves)
        self.unreadable = 0
        """Entries that are no record of any version that is known."""
        self.gap = 0
        """Records that were read and did not become one row of the ledger and one of the records table."""
        self._files.sweep({file.name for file in self.manifest.files} | self.manifest.replaced.keys())
        self._table.sweep(self.manifest)
        self._spans.sweep(self.manifest)

    def close(self) -> None:
        """Nothing may be written after."""
        for follower in self._followers.values():
            follower.close()
        self._followers.clear()
        self._database.close()
        os.close(self._lock)

    def add(self) -> bool:
        """Adds what was closed since the last time; True when there is more. Raises OSError, and then has added
        nothing: to be tried again with a writer made anew."""
        self._discover()
        days: dict[int, list[bytes]] = {}
        lines = Lines()
        left = PASS_ENTRIES
        taken: list[int] = []
        for follower in self._followers.values():
            while left > 0 and (piece := follower.piece()) is not None:
                taken.append(self._take(follower.directory.name, piece, lines, days))
                left -= len(piece.entries)
        new = self.manifest
        changed = {name: state for name, state in self._states().items() if state != self.manifest.journals.get(name)}
        if days or changed:
            new = msgspec.structs.replace(
                new, files=list(new.files), records=list(new.records), journals=new.journals | changed
            )
            if days:
                self._write(new, lines, days)
                self._table.write(new)
                self.gap += _missing(self.manifest, new, sum(taken))
            self._publish(new)
        for name in [name for name, follower in self._followers.items() if follower.finished]:
            self._followers.pop(name).close()
        return left <= 0

    def add_spans(self) -> bool:
        """Adds spans that workers took from agents; True when there may be more. Raises as `add` does."""
        new = self._spans.added(self.manifest)
        if new is not None:
            self._publish(new)
            self._spans.drop_taken(new)
        return new is not None

    @property
    def spans_unreadable(self) -> int:
        """Requests whose spans nobody could read after they were taken."""
        return self._spans.unreadable

    def leaving(self, table: Name = "records") -> tuple[list[RecordFile], list[RecordFile]]:
        """Files of a table that are to be brought elsewhere, and those elsewhere that nobody reads any more."""
        old_s = self._clock.wall_ns() // 10**9 - KEEP_REPLACED_S
        return self._named(table).leaving(self.manifest), self._named(table).left(self.manifest, old_s)

    def settled(self, journal: str) -> None:
        """Notes that what the journal's worker held was given back."""
        journals = self.manifest.journals
        states = {**journals, journal: msgspec.structs.replace(journals[journal], settled=True)}
        self._publish(msgspec.structs.replace(self.manifest, journals=states))

    def unsettled(self) -> list[str]:
        """Journals that are read to their end and whose workers' holds nobody has given back yet."""
        return [name for name, state in self.manifest.journals.items() if state.finished and not state.settled]

    def merge(self, busy: Collection[RecordFile] = ()) -> bool:
        """Makes one file of many small ones of a day, or lets go of what was kept long enough; True when it did, and
        there may be more to do. `busy`: files that are being brought elsewhere stay as they are. Raises OSError."""
        now = self.manifest
        new = self._merged() or self._table.merged(now, busy)
        if new is not None and (missing := _missing(now, new, 0)):
            raise OSError(f"{missing} requests would be lost, or there twice, in one file of many: nothing is changed")
        new = new or self._table.expired(now)
        new = new or self._spans.merged(now, busy) or self._spans.expired(now)
        if new is not None:
            self._publish(new)
        return new is not None

    def brought(
        self, files: Sequence[RecordFile], at: str, removed: Sequence[RecordFile], table: Name = "records"
    ) -> None:
        """Notes that copies of files of a table are on the disk of `at`, and that those `removed` are gone there."""
        self._publish(self._named(table).brought(self.manifest, files, at, removed))

    def _named(self, table: Name) -> DayTable[Record] | SpanTable:
        return self._table if table == "records" else self._spans

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

    def _take(self, journal: str, piece: Piece, lines: Lines, days: dict[int, list[bytes]]) -> int:
        """Keeps the records of a piece to be written; how many."""
        decode = _decode
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
        self._table.take([record for _, record in records])
        for day, its in by_day.items():
            days.setdefault(day, []).append(lines.of(its, journal))
        return len(records)

    def _states(self) -> dict[str, JournalState]:
        return {
            name: JournalState(*follower.position, finished=follower.finished)
            for name, follower in self._followers.items()
        }

    # -- files

    def _write(self, new: Manifest, lines: Lines, days: dict[int, list[bytes]]) -> None:
        """Adds files of rows to `new`."""
        rows, shared = self._folder / "rows.new", self._folder / "shared.new"
        try:
            shared.write_bytes(lines.shared())
            for day, pieces in days.items():
                with rows.open("wb") as file:
                    file.writelines(pieces)
                self._add_file(new, day_name(day), ledger_rows.from_json([rows], shared))
        finally:
            rows.unlink(missing_ok=True)
            shared.unlink(missing_ok=True)

    def _add_file(self, new: Manifest, day: str, rows: str) -> None:
        """Adds a file of what the query gives."""
        name = f"{day}/{new.next_number:06d}.parquet"
        new.next_number += 1
        new.files.append(LedgerFile(name, *self._files.write(name, rows)))

    def _merged(self) -> Manifest | None:
        for group in compaction.mergeable(self.manifest.files, day_name(self._clock.wall_ns() // DAY_NS)):
            gone = {file.name for file in group}
            new = msgspec.structs.replace(
                self.manifest,
                files=[file for file in self.manifest.files if file.name not in gone],
                replaced=self.manifest.replaced | dict.fromkeys(gone, self._clock.wall_ns() // 10**9),
            )
            self._add_file(new, group[0].day, ledger_rows.from_parquet([str(self._folder / name) for name in gone]))
            return new
        return None

    def _publish(self, new: Manifest) -> None:
        old_s = self._clock.wall_ns() // 10**9 - KEEP_REPLACED_S
        gone = [name for name, at_s in new.replaced.items() if at_s < old_s]
        if gone:
            new = msgspec.structs.replace(
                new, replaced={name: at_s for name, at_s in new.replaced.items() if at_s >= old_s}
            )
        new, records_gone = self._table.let_go(new, old_s)
        new, spans_gone = self._spans.let_go(new, old_s)
        manifest.publish(self._state_dir, new)
        self.manifest = new
        for path in (*(self._folder / name for name in gone), *records_gone, *spans_gone):
            path.unlink(missing_ok=True)


_decode: Final = msgspec.msgpack.Decoder(Record).decode


def _missing(now: Manifest, new: Manifest, added: int) -> int:
    """How many rows of the ledger, or of the records table, `new` is from having so many more than `now`."""
    records = sum(file.rows for file in new.records) - sum(file.rows for file in now.records)
    return max(abs(new.rows - now.rows - added), abs(records - added))

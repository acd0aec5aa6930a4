"""What is in the ledger and in the tables of records and of spans: the one small file that makes them exact, together.

    STATE/ledger/
        lock                    held by who writes them
        manifest.json           which of the files below count, and up to where journals were read into them
        2026-11-22/000017.parquet   rows of requests that began on that day (UTC); a file never changes
    STATE/records/
        class=400/day=2026-11-22/000018-5f3a9c1e.parquet    the same for whole records, by the days they are kept
    STATE/spans/
        class=400/day=2026-11-22/000019-0b7d41c2.parquet    the same for spans that agents sent

Files of records and of spans may be elsewhere (`RecordFile.at`), under the same names. The manifest is replaced
whole, after the files it names are on the disk. So a row and the position behind it become true in the same moment: a
writer killed at any instruction has written a record once or not yet, never twice. Files that the manifest does not
name are no part of any table.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from gateway.store.journal_follow import BEGIN, IN_RECOVERY, Position

FORMAT: Final = 3
READ: Final = (1, 2, FORMAT)
"""Formats that are read. 1: there was only the ledger; records begin where it stood. 2: there were no spans."""


class LedgerUnreadable(Exception):
    """The manifest is not what this version wrote. Says what to do."""


class JournalState(msgspec.Struct, forbid_unknown_fields=True):
    """How far one journal was read."""

    segment: int = BEGIN.segment
    offset: int = BEGIN.offset
    finished: bool = False
    """Read to the end of its recovery: nothing will be added to it."""
    settled: bool = False
    """What its worker held from meters was given back to them too."""

    @property
    def position(self) -> Position:
        return Position(self.segment, self.offset)

    @property
    def first_needed(self) -> int:
        """The number of the first segment that must stay; `IN_RECOVERY`: none of them."""
        if self.settled:
            return IN_RECOVERY
        return 0 if self.finished else self.segment


class LedgerFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of rows."""

    name: str
    """`DAY/NUMBER.parquet`: rows of requests that began on that day."""
    rows: int
    bytes: int

    @property
    def day(self) -> str:
        return self.name.partition("/")[0]

    @property
    def partition(self) -> str:
        """Only files of one partition are ever merged."""
        return self.day


class RecordFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of records, or of spans."""

    name: str
    """`class=DAYS/day=DAY/NUMBER-RANDOM.parquet`: requests that began on that day and are kept so many days."""
    rows: int
    bytes: int
    since_s: int
    """When the first of its rows was written, in seconds since the epoch."""
    at: str = ""
    """The folder or address it is under; empty: the state directory's."""

    @property
    def partition(self) -> str:
        return self.name.rpartition("/")[0]

    @property
    def day(self) -> str:
        return self.partition.rpartition("=")[2]

    @property
    def kept_days(self) -> int | None:
        """None: for good."""
        days = self.name.partition("/")[0].partition("=")[2]
        return int(days) if days.isdigit() else None


class Replaced(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of records or spans that is no part of the table any more, kept a while for who reads it."""

    file: RecordFile
    at_s: int
    """Since when."""


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """The ledger as it is now."""

    format: int = FORMAT
    next_number: int = 1
    files: list[LedgerFile] = []
    journals: dict[str, JournalState] = {}
    """By the name of a journal's directory."""
    replaced: dict[str, int] = {}
    """Files whose rows are in a larger one now → when, in seconds since the epoch: kept a while for who reads them."""
    records: list[RecordFile] = []
    records_replaced: list[Replaced] = []
    spans: list[RecordFile] = []
    spans_replaced: list[Replaced] = []
    spans_taken: list[str] = []
    """Files of the spool whose spans are in the table: each until it is removed."""

    @property
    def rows(self) -> int:
        """Requests in the ledger."""
        return sum(file.rows for file in self.files)


def folder(state_dir: Path) -> Path:
    """Where the ledger is."""
    return state_dir / "ledger"


def records_folder(state_dir: Path) -> Path:
    """Where records are that are not elsewhere."""
    return state_dir / "records"


def spans_folder(state_dir: Path) -> Path:
    """Where spans are that are not elsewhere."""
    return state_dir / "spans"


def read(state_dir: Path) -> Manifest:
    """The manifest; an empty one where no ledger was begun. Raises LedgerUnreadable, OSError."""
    return read_in(folder(state_dir))


def read_in(place: Path) -> Manifest:
    """The same of the tables whose manifest is in this folder."""
    path = place / "manifest.json"
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except FileNotFoundError:
        return Manifest()
    except msgspec.MsgspecError as error:
        raise LedgerUnreadable(
            f"{path} cannot be read ({error}). It says what is in the ledger: restore it from a backup, or move the "
            f"folder {path.parent} away and begin anew from the journals that are still there"
        ) from error
    if manifest.format not in READ:
        raise LedgerUnreadable(
            f"{path} is of format {manifest.format}, and this version of Lockgate reads format {FORMAT}: "
            "use the version that wrote it, or a later one"
        )
    manifest.format = FORMAT
    return manifest


def publish(state_dir: Path, manifest: Manifest) -> None:
    """Makes `manifest` the ledger, durably: when this returns it will be read after a power cut. Raises OSError and
    then has changed nothing."""
    publish_in(folder(state_dir), manifest)


def publish_in(place: Path, manifest: Manifest) -> None:
    """The same of the tables whose manifest is in this folder."""
    path = place / "manifest.json"
    draft = path.with_suffix(".new")
    with draft.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Makes new names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The content table: what the keeper makes of content journals, beside the tables of records.

    STATE/content/
        manifest.json          which files count, and up to where each journal was read into them
        class=30/day=2026-11-22/000018-5f3a9c1e.parquet    as those of records, by the days content is kept

Each content is locked with the key of its tenant and end user. What cannot be read or locked, and what was erased
meanwhile, is left out. One writer: who holds the ledger's lock.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gateway.clock import Clock
from gateway.store import content_journal, content_rows, manifest
from gateway.store.content import Content, folder
from gateway.store.content_journal import ContentReader
from gateway.store.content_keys import ContentKeys, KeyAway
from gateway.store.content_rows import Row
from gateway.store.day_table import DayTable
from gateway.store.manifest import JournalState
from gateway.store.table_files import Database

PASS_BYTES: Final = 32 * 2**20
"""Moved in one pass, or one content more."""
MERGES_BYTES: Final = 64 * 2**20
KEEP_REPLACED_S: Final = 600
"""How long a file whose rows are in another is kept for who may be reading it."""

_NONCE: Final = 12
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Content).decode


class ContentTable:
    """The writer."""

    def __init__(self, state_dir: Path, clock: Clock, environ: Mapping[str, str]) -> None:
        """Raises LedgerUnreadable, OSError."""
        self._state_dir = state_dir
        self._folder = folder(state_dir)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clock = clock
        self.manifest = manifest.read_in(self._folder)
        self._keys = ContentKeys(state_dir, environ)
        self._database = Database(self._folder)
        self._table: DayTable[Row] = DayTable(
            self._folder, self._database, clock, lambda row: str(row.days), content_rows, merges_bytes=MERGES_BYTES
        )
        self.lost = 0
        """Contents that could not be read, or whose key could not be had."""
        self.away = ""
        """Why the last of these could not be."""
        self._losing = 0
        self._table.sweep(self.manifest)

    def close(self) -> None:
        """Nothing may be written after."""
        self._keys.close()
        self._database.close()

    def add(self) -> bool:
        """Moves what was written since the last time; True when there is more. Raises OSError, and then has moved
        nothing: to be tried again with a writer made anew."""
        present = {path.name: path for path in content_journal.journals(self._state_dir)}
        states = {name: state for name, state in self.manifest.journals.items() if name in present}
        rows: list[Row] = []
        ended: list[Path] = []
        drained: list[ContentReader] = []
        left = PASS_BYTES
        self._losing = 0
        keys: dict[tuple[str, str, str], tuple[str, AESGCM, int] | None] = {}
        for name, directory in present.items():
            reader = ContentReader(directory, states.get(name, JournalState()).position)
            try:
                for content, position, size in reader.contents():
                    states[name] = JournalState(*position)
                    row = None if content is None else self._row(content, keys)
                    if row is not None:
                        rows.append(row)
                    elif content is None:
                        self._losing += 1
                    left -= size
                    if left <= 0:
                        break
                else:
                    ended += [directory] if reader.ended else []
                    drained.append(reader)
            finally:
                reader.close()
            if left <= 0:
                break
        if states != self.manifest.journals:
            self._publish(rows, states)
            self.lost += self._losing
        for reader in drained:
            reader.forget_keys()
        for directory in ended:
            content_journal.remove(directory)
        for name, state in states.items():
            content_journal.forget(present[name], state.segment)
        return left <= 0

    def merge(self) -> bool:
        """Makes one file of many small ones of a day, or lets go of what was kept long enough; True when it did."""
        new = self._table.merged(self.manifest) or self._table.expired(self.manifest)
        if new is not None:
            self._replace(new)
        return new is not None

    @property
    def rows(self) -> int:
        """Contents in the table."""
        return sum(file.rows for file in self.manifest.records)

    def _row(self, content: Content, keys: dict[tuple[str, str, str], tuple[str, AESGCM, int] | None]) -> Row | None:
        whose = content.tenant, content.end_user, content.wrap
        if whose not in keys:
            try:
                # In this order: what is erased from here on is locked with a key that is destroyed.
                key_id, key = self._keys.of(*whose)
                keys[whose] = key_id, key, self._keys.erased_ns(content.tenant, content.end_user)
            except KeyAway as error:
                keys[whose], self.away = None, str(error)
        found = keys[whose]
        if found is None:
            self._losing += 1
            return None
        key_id, key, erased_ns = found
        if content.started_ns <= erased_ns:
            return None
        nonce = os.urandom(_NONCE)
        locked = nonce + key.encrypt(nonce, zlib.compress(_encode(content), 1), content.id.encode())
        return Row(content.id, content.started_ns, content.tenant, content.how, key_id, locked, content.days)

    def _publish(self, rows: list[Row], states: dict[str, JournalState]) -> None:
        new = msgspec.structs.replace(self.manifest, records=list(self.manifest.records), journals=states)
        if rows:
            self._table.take(rows)
            self._table.write(new)
        self._replace(new)

    def _replace(self, new: manifest.Manifest) -> None:
        new, gone = self._table.let_go(new, self._clock.wall_ns() // 10**9 - KEEP_REPLACED_S)
        manifest.publish_in(self._folder, new)
        self.manifest = new
        for path in gone:
            path.unlink(missing_ok=True)


def unlocked(key: AESGCM, content_id: str, locked: bytes) -> Content:
    """What `locked` of a row holds. Raises ValueError for what was changed, or stood in another row."""
    try:
        return _decode(zlib.decompress(key.decrypt(locked[:_NONCE], locked[_NONCE:], content_id.encode())))
    except (InvalidTag, ValueError, zlib.error, msgspec.DecodeError) as error:
        raise ValueError(f"what was said in {content_id} is damaged, or was moved here from another request") from error

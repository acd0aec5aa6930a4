"""Hands out what was said in requests, as far as it is kept: from the table, and what is only in journals yet. Works
beside a running gateway."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from gateway.store import content_rows, content_table, duck, lake, manifest, record_read
from gateway.store.content import Content, Locked, folder
from gateway.store.content_journal import ContentReader, journals
from gateway.store.content_keys import ContentKeys, KeyAway
from gateway.store.ledger_rows import text
from gateway.store.manifest import JournalState, LedgerUnreadable
from gateway.store.record_query import Query

Found: TypeAlias = dict[str, Content | Locked]

_TOGETHER: Final = 500
"""Requests that are asked for at once."""


def contents(state_dir: Path, ids: Collection[str], environ: Mapping[str, str]) -> Found:
    """What is kept of these requests, by their ids; `environ` has the tenants' keys. Nothing of what was erased.

    Raises LedgerUnreadable, OSError; ImportError where DuckDB or cryptography is not installed.
    """
    if not ids or not folder(state_dir).is_dir():
        return {}
    keys = ContentKeys(state_dir, environ)
    try:
        found = _of_journals(state_dir, frozenset(ids), keys)
        wanted = [each for each in ids if each not in found]
        for begin in range(0, len(wanted), _TOGETHER):
            found |= _of_table(state_dir, tuple(wanted[begin : begin + _TOGETHER]), keys)
        return found
    finally:
        keys.close()


def latest_ns(state_dir: Path, tenant: str, end_user: str | None) -> int:
    """When the last request of a tenant, or of one of its end users, began of which content is only in journals yet; 0
    for none. Raises LedgerUnreadable, OSError."""
    whose = (one for one in _waiting(state_dir) if one.tenant == tenant and end_user in (None, one.end_user))
    return max((one.started_ns for one in whose), default=0)


def _of_journals(state_dir: Path, ids: frozenset[str], keys: ContentKeys) -> Found:
    return {
        one.id: one
        for one in _waiting(state_dir)
        if one.id in ids and one.started_ns > keys.erased_ns(one.tenant, one.end_user)
    }


def _waiting(state_dir: Path) -> Iterator[Content]:
    """What the keeper has not moved yet, as far as it can be read."""
    if not folder(state_dir).is_dir():
        return
    moved = manifest.read_in(folder(state_dir)).journals
    for directory in journals(state_dir):
        reader = ContentReader(directory, moved.get(directory.name, JournalState()).position)
        try:
            yield from (content for content, _, _ in reader.contents() if content is not None)
        finally:
            reader.close()


def _of_table(state_dir: Path, ids: tuple[str, ...], keys: ContentKeys) -> Found:
    query = Query(ids=ids)
    now = manifest.read_in(folder(state_dir))
    paths = [
        lake.address(str(folder(state_dir)), file.name) for file in now.records if record_read.concerns(file.day, query)
    ]
    if not paths:
        return {}
    import duckdb

    sql = (
        f"SELECT id, key_id, locked FROM ({content_rows.from_parquet(paths)}) WHERE id IN ({', '.join(map(text, ids))})"
    )
    try:
        with (
            tempfile.TemporaryDirectory(prefix="lockgate-content-") as spill,
            duck.connection(Path(spill)) as database,
        ):
            rows = database.execute(sql).fetchall()
    except duckdb.Error as error:
        raise LedgerUnreadable(f"cannot read what was said: {error}") from error
    found: Found = {}
    for content_id, key_id, locked in rows:
        try:
            key = keys.by_id(key_id)
        except KeyAway as error:
            found[content_id] = Locked(str(error))
            continue
        if key is not None:
            try:
                found[content_id] = content_table.unlocked(key, content_id, locked)
            except ValueError as error:
                found[content_id] = Locked(str(error))
    return found

"""The columns of the content table: who may find what, and the content itself, locked."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from gateway.store.ledger_rows import text

OPTIONS: Final = ", ROW_GROUP_SIZE 2048"
SORTED: Final = "ORDER BY tenant, started_ns, id"
_KINDS: Final = {
    "id": "VARCHAR",
    "started_ns": "BIGINT",
    "tenant": "VARCHAR",
    "how": "VARCHAR",
    "key_id": "VARCHAR",
    "locked": "BLOB",
}
_encode_lines: Final = msgspec.json.Encoder().encode_lines


class Row(msgspec.Struct, frozen=True, gc=False):
    """One content, locked."""

    id: str
    started_ns: int
    tenant: str
    how: str
    key_id: str
    locked: bytes
    days: int
    """How long it is kept: a folder's name, no column."""


def began_ns(row: Row) -> int:
    """What decides its day."""
    return row.started_ns


def lines(rows: Iterable[Row]) -> bytes:
    """Rows as lines, which `from_json` reads."""
    return _encode_lines(
        [
            {
                "id": row.id,
                "started_ns": row.started_ns,
                "tenant": row.tenant,
                "how": row.how,
                "key_id": row.key_id,
                "locked": base64.b64encode(row.locked).decode("ascii"),
            }
            for row in rows
        ]
    )


def from_json(path: Path) -> str:
    """SQL: the table's columns, of a file of lines; by tenant and time."""
    kinds = ", ".join(f"{name}: '{'VARCHAR' if kind == 'BLOB' else kind}'" for name, kind in _KINDS.items())
    values = ", ".join("from_base64(locked) AS locked" if kind == "BLOB" else name for name, kind in _KINDS.items())
    options = f"format = 'newline_delimited', maximum_object_size = 8388608, columns = {{{kinds}}}"
    return f"SELECT {values} FROM read_json([{text(str(path))}], {options}) {SORTED}"


def from_parquet(paths: Sequence[str]) -> str:
    """SQL: the columns of files of the table."""
    return f"SELECT {', '.join(_KINDS)} FROM read_parquet([{', '.join(map(text, paths))}], hive_partitioning = false)"


def merged(paths: Sequence[str]) -> str:
    """SQL: the rows of files that become one, sorted."""
    return f"{from_parquet(paths)} {SORTED}"

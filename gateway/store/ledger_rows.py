"""The ledger's columns: what is kept of a record for good, for usage and bills.

Rows travel to DuckDB as JSON lines (the fastest way in that needs no numpy: 5 µs a row, with one-letter names and
without what is at its default), and lie in Parquet under the names of `COLUMNS`. Columns are only ever added, at the
end: files without a new column read as NULL there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from gateway.policy.meters import spent_of
from gateway.store.records import Record


class Row(msgspec.Struct, gc=False, omit_defaults=True):
    """A record on its way into the ledger; `COLUMNS` says what the letters stand for."""

    a: str
    b: int
    c: str = ""
    d: str = ""
    e: str = ""
    f: str = ""
    g: str = ""
    h: str = ""
    i: str = ""
    j: str = ""
    k: str = ""
    l: str = ""  # noqa: E741
    m: str = ""
    n: str = ""
    o: bool = False
    p: int | None = None
    q: int | None = None
    r: int | None = None
    s: int | None = None
    t: int | None = None
    u: int = 0
    v: int = 0
    w: str = ""
    x: str = ""
    y: str = ""
    z: float = 0.0
    za: int = 0
    zb: int | None = None
    zc: str = ""
    zd: int | None = None
    ze: int | None = None


class Column(msgspec.Struct, frozen=True):
    """One column of the ledger."""

    name: str
    kind: str
    """DuckDB's type in the Parquet file."""
    default: str
    """As SQL: what JSON leaves out."""
    meaning: str


_TEXT: Final = ("VARCHAR", "''")
_COUNT: Final = ("BIGINT", "0")
_KNOWN: Final = ("BIGINT", "NULL")

COLUMNS: Final = (
    Column("id", *_TEXT, "the request's id, as in `x-request-id`; no two rows have the same"),
    Column("started", "TIMESTAMP", "NULL", "when it began, UTC"),
    Column("tenant", *_TEXT, "empty where the key was not known"),
    Column("project", *_TEXT, "empty for none"),
    Column("key", *_TEXT, "the key's name"),
    Column("end_user", *_TEXT, "`user` of the body"),
    Column("model", *_TEXT, "as the caller named it; empty where that led nowhere"),
    Column("served_model", *_TEXT, "what the backend calls it"),
    Column("backend", *_TEXT, "the backend that answered, or was tried last"),
    Column("endpoint", *_TEXT, "chat, messages, infer, …"),
    Column("trace", *_TEXT, "the trace id of the caller's `traceparent`"),
    Column("conversation", *_TEXT, "its id"),
    Column("outcome", *_TEXT, "answered, refused, cancelled, failed or crashed"),
    Column("code", *_TEXT, "ok, or the error's code"),
    Column("stream", "BOOLEAN", "false", "was the answer streamed?"),
    Column("input_tokens", *_KNOWN, "without those read from a cache; NULL where usage is not known"),
    Column("cached_input_tokens", *_KNOWN, "read from a cache"),
    Column("output_tokens", *_KNOWN, "without reasoning"),
    Column("reasoning_tokens", *_KNOWN, "spent on reasoning"),
    Column("charge_nanos", *_KNOWN, "what the tenant pays, in nano-dollars; NULL where nothing has a price"),
    Column("waste_tokens", *_COUNT, "output tokens that were made and reached nobody"),
    Column("waste_nanos", *_COUNT, "their price: in the charge when the caller left, beside it when we cut"),
    Column("usage_from", *_TEXT, "who counted the tokens: backend, running, bound or held"),
    Column("action", *_TEXT, "what meters did to it"),
    Column("snapshot", *_TEXT, "digest of the configuration"),
    Column("total_ms", "FLOAT", "0", "from its beginning to its end"),
    Column("attempts", "INTEGER", "0", "tries at backends"),
    Column("rows", *_KNOWN, "rows of a call of a classic model"),
    Column("journal", *_TEXT, "of the worker that served it"),
    Column("settled_input", *_KNOWN, "what meters of input tokens were told, where it is not the sum of the above"),
    Column("settled_output", *_KNOWN, "what meters of output tokens were told, where it is not the sum of the above"),
)
"""In the order of `Row`'s letters."""


def row(record: Record, journal: str = "") -> Row:
    """A record's row; `journal` is the name of its journal's directory."""
    made = Row(  # by position: twice as fast, and there is one for every request
        record.id,
        record.started_ns,
        record.tenant,
        record.project,
        record.key,
        record.end_user,
        record.alias if record.backend else "",  # an alias that led nowhere may be anything a caller sent
        record.served_model,
        record.backend,
        record.endpoint,
        record.traceparent[3:35],
        record.conversation,
        record.outcome,
        record.code,
        record.stream,
        record.input_tokens,
        record.cached_input_tokens,
        record.output_tokens,
        record.reasoning_tokens,
        record.charge_nanos,
        record.waste_tokens,
        record.waste_nanos,
        record.usage_from,
        record.action,
        record.snapshot,
        record.total_ms,
        len(record.attempts),
        record.rows,
        journal,
    )
    if record.usage_from and (record.usage_from != "backend" or record.action):
        _, given, produced, _, _ = spent_of(record)
        if given != (record.input_tokens or 0) + (record.cached_input_tokens or 0):
            made.zd = given
        if produced != (record.output_tokens or 0) + (record.reasoning_tokens or 0):
            made.ze = produced
    return made


encode_rows: Final = msgspec.json.Encoder().encode_lines
"""Rows → JSON lines."""


def from_json(paths: Sequence[str]) -> str:
    """SQL: the ledger's columns of files of JSON lines."""
    letters = Row.__struct_fields__
    kinds = ", ".join(f"{letter}: '{_read_as(column)}'" for letter, column in zip(letters, COLUMNS, strict=True))
    values = ", ".join(
        f'{_value(letter, column)} AS "{column.name}"' for letter, column in zip(letters, COLUMNS, strict=True)
    )
    files = ", ".join(map(text, paths))
    options = f"format = 'newline_delimited', maximum_object_size = 262144, columns = {{{kinds}}}"
    return f"SELECT {values} FROM read_json([{files}], {options})"


def _read_as(column: Column) -> str:
    # A journal takes any number of 64 bits, with a sign or without: none of them may keep the ledger from going on.
    return "HUGEINT" if column.kind in ("BIGINT", "TIMESTAMP") else column.kind


def _value(letter: str, column: Column) -> str:
    if column.kind == "TIMESTAMP":
        return f"make_timestamp(({letter} // 1000)::BIGINT)"
    if column.kind == "BIGINT":
        letter = f"(CASE WHEN {letter} > {2**63 - 1} THEN {2**63 - 1} ELSE {letter} END)::BIGINT"
    return letter if column.default == "NULL" else f"coalesce({letter}, {column.default})"


def from_parquet(paths: Sequence[str]) -> str:
    """SQL: the columns of files of the ledger, those of versions that knew fewer columns too."""
    files = ", ".join(map(text, paths))
    return f"{nothing()} UNION ALL BY NAME SELECT * FROM read_parquet([{files}], union_by_name = true)"


def nothing() -> str:
    """SQL: the columns, and no row."""
    return "SELECT " + ", ".join(f'NULL::{column.kind} AS "{column.name}"' for column in COLUMNS) + " WHERE false"


def text(value: str) -> str:
    """`value` as a literal of SQL."""
    return "'" + value.replace("'", "''") + "'"

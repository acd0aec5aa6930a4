"""The ledger's columns: what is kept of a record for good, for usage and bills.

Rows travel to DuckDB as JSON lines, the fastest way in that needs no numpy: one-letter names, nothing that is at its
default, and what many rows share (whose, which model, how it ended) once, beside them. In Parquet they lie under the
names of `COLUMNS`. Columns are only ever added, at the end: files without a new column read as NULL there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, cast

import msgspec

from gateway.policy.meters import spent_of
from gateway.store.records import Record


class Row(msgspec.Struct, gc=False, omit_defaults=True):
    """What is a record's own, on its way into the ledger; the letters stand for the columns that are not shared."""

    a: str
    b: int
    c: str = ""
    d: str = ""
    e: str = ""
    f: int | None = None
    g: int | None = None
    h: int | None = None
    i: int | None = None
    j: int | None = None
    k: int = 0
    l: int = 0  # noqa: E741
    m: str = ""
    n: float = 0.0
    o: int | None = None
    p: int | None = None
    q: int | None = None
    s: int = 0
    """The number of the `Shared` that goes with it."""
    t: str = ""
    u: int = 0
    v: int = 0
    w: int = 0
    x: str = ""


class Shared(msgspec.Struct, gc=False, omit_defaults=True):
    """What many records have in common; the letters stand for the columns that are shared."""

    s: int
    a: str = ""
    b: str = ""
    c: str = ""
    d: str = ""
    e: str = ""
    f: str = ""
    g: str = ""
    h: str = ""
    i: str = ""
    j: bool = False
    k: str = ""
    l: str = ""  # noqa: E741
    m: str = ""


class Column(msgspec.Struct, frozen=True):
    """One column of the ledger."""

    name: str
    kind: str
    """DuckDB's type in the Parquet file."""
    default: str
    """As SQL: what JSON leaves out."""
    meaning: str
    shared: bool = False


_TEXT: Final = ("VARCHAR", "''")
_COUNT: Final = ("BIGINT", "0")
_KNOWN: Final = ("BIGINT", "NULL")

COLUMNS: Final = (
    Column("id", *_TEXT, "the request's id, as in `x-request-id`; no two rows have the same"),
    Column("started", "TIMESTAMP", "NULL", "when it began, UTC"),
    Column("tenant", *_TEXT, "empty where the key was not known", shared=True),
    Column("project", *_TEXT, "empty for none", shared=True),
    Column("key", *_TEXT, "the key's name", shared=True),
    Column("end_user", *_TEXT, "`user` of the body"),
    Column("model", *_TEXT, "as the caller named it; empty where that led nowhere", shared=True),
    Column("served_model", *_TEXT, "what the backend calls it", shared=True),
    Column("backend", *_TEXT, "the backend that answered, or was tried last", shared=True),
    Column("endpoint", *_TEXT, "chat, messages, infer, …", shared=True),
    Column("trace", *_TEXT, "the trace id of the caller's `traceparent`"),
    Column("conversation", *_TEXT, "its id"),
    Column("outcome", *_TEXT, "answered, refused, cancelled, failed or crashed", shared=True),
    Column("code", *_TEXT, "ok, or the error's code", shared=True),
    Column("stream", "BOOLEAN", "false", "was the answer streamed?", shared=True),
    Column("input_tokens", *_KNOWN, "without those read from a cache; NULL where usage is not known"),
    Column("cached_input_tokens", *_KNOWN, "read from a cache"),
    Column("output_tokens", *_KNOWN, "without reasoning"),
    Column("reasoning_tokens", *_KNOWN, "spent on reasoning"),
    Column("charge_nanos", *_KNOWN, "what the tenant pays, in nano-dollars; NULL where nothing has a price"),
    Column("waste_tokens", *_COUNT, "output tokens that were made and reached nobody"),
    Column("waste_nanos", *_COUNT, "their price: in the charge when the caller left, beside it when we cut"),
    Column("usage_from", *_TEXT, "who counted the tokens: backend, running, bound or held", shared=True),
    Column("action", *_TEXT, "what meters did to it"),
    Column("snapshot", *_TEXT, "digest of the configuration", shared=True),
    Column("total_ms", "FLOAT", "0", "from its beginning to its end"),
    Column("rows", *_KNOWN, "rows of a call of a classic model"),
    Column("journal", *_TEXT, "of the worker that served it", shared=True),
    Column("settled_input", *_KNOWN, "what meters of input tokens were told, where it is not the sum of the above"),
    Column("settled_output", *_KNOWN, "what meters of output tokens were told, where it is not the sum of the above"),
    Column("verdicts", *_TEXT, "what checks found and did, never the text: phase:check:code:action:score:count"),
    Column("judge_input_tokens", *_COUNT, "used by models that judged its texts, cached ones included"),
    Column("judge_output_tokens", *_COUNT, "the same"),
    Column("judge_nanos", *_COUNT, "their price, within the charge"),
    Column("judges", *_TEXT, "the models that were asked to judge, with blanks between"),
)
"""In the order of the letters of `Row` and `Shared`."""

_LETTERS: Final = {
    column.name: letter
    for shared, struct in ((False, Row), (True, Shared))
    for letter, column in zip(
        [letter for letter in struct.__struct_fields__ if letter != "s"],
        [column for column in COLUMNS if column.shared is shared],
        strict=True,
    )
}

_SKIPPED: Final = ("attempts", "readings")
"""Columns of a record that are of no use here, and cost a third of reading it."""

decode: Final = cast(
    Callable[[bytes], Record],
    msgspec.msgpack.Decoder(
        msgspec.defstruct(
            "LedgerRecord",
            [
                (field.name, msgspec.Raw, msgspec.field(default_factory=msgspec.Raw))
                if field.name in _SKIPPED
                else (field.name, field.type, field.default)
                for field in msgspec.structs.fields(Record)
            ],
            array_like=True,
            gc=False,
        )
    ).decode,
)
"""A journal's payload → a record without its attempts and readings. Raises msgspec.DecodeError."""

_encode_lines: Final = msgspec.json.Encoder().encode_lines


class Lines:
    """Makes lines of records, which `from_json` reads: what `of` gives in one file or several, `shared` in one."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[str | bool, ...], int] = {}

    def of(self, records: Iterable[Record], journal: str) -> bytes:
        """The lines of records from the journal of this name."""
        known = self._known
        rows = []
        for record in records:
            usage_from = record.usage_from
            who = (
                *(record.tenant, record.project, record.key),
                record.alias if record.backend else "",  # an alias that led nowhere may be anything a caller sent
                *(record.served_model, record.backend, record.endpoint, record.outcome, record.code, record.stream),
                *(usage_from, record.snapshot, journal),
            )
            number = known.get(who)
            if number is None:
                number = known[who] = len(known)
            given = made = None
            if usage_from and (usage_from != "backend" or record.action):
                _, given, made, _, _ = spent_of(record)
                if given == (record.input_tokens or 0) + (record.cached_input_tokens or 0):
                    given = None
                if made == (record.output_tokens or 0) + (record.reasoning_tokens or 0):
                    made = None
            rows.append(
                Row(  # by position: twice as fast, and there is one for every request
                    record.id,
                    record.started_ns,
                    record.end_user,
                    record.traceparent[3:35],
                    record.conversation,
                    record.input_tokens,
                    record.cached_input_tokens,
                    record.output_tokens,
                    record.reasoning_tokens,
                    record.charge_nanos,
                    record.waste_tokens,
                    record.waste_nanos,
                    record.action,
                    record.total_ms,
                    record.rows,
                    given,
                    made,
                    number,
                    record.verdicts,
                    record.judge_input_tokens,
                    record.judge_output_tokens,
                    record.judge_nanos,
                    record.judges,
                )
            )
        return _encode_lines(rows)

    def shared(self) -> bytes:
        """The lines of what the rows share."""
        return _encode_lines([Shared(number, *who) for who, number in self._known.items()])  # type: ignore[arg-type]


def from_json(rows: Sequence[Path], shared: Path) -> str:
    """SQL: the ledger's columns, of files of lines."""
    values = ", ".join(f'{_value(column)} AS "{column.name}"' for column in COLUMNS)
    return f"SELECT {values} FROM {_read(rows, shared=False)} AS r JOIN {_read([shared], shared=True)} AS s USING (s)"


def _read(paths: Sequence[Path], *, shared: bool) -> str:
    columns = {_LETTERS[column.name]: _read_as(column) for column in COLUMNS if column.shared is shared}
    kinds = ", ".join(f"{letter}: '{kind}'" for letter, kind in (columns | {"s": "INTEGER"}).items())
    files = ", ".join(text(str(path)) for path in paths)
    options = f"format = 'newline_delimited', maximum_object_size = 262144, columns = {{{kinds}}}"
    # Numbers left out are 0.
    return f"(SELECT * REPLACE (coalesce(s, 0) AS s) FROM read_json([{files}], {options}))"


def _read_as(column: Column) -> str:
    # A journal takes any number of 64 bits, with a sign or without: none of them may keep the ledger from going on.
    return "HUGEINT" if column.kind in ("BIGINT", "TIMESTAMP") else column.kind


def _value(column: Column) -> str:
    letter = f"{'s' if column.shared else 'r'}.{_LETTERS[column.name]}"
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

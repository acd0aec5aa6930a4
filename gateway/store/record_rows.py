"""The columns of the records table: every column of a `Record`, under names for people who never read this program.

Rows travel to DuckDB as JSON lines, which it reads as fast as they are short: what is at its default is left out, and
what many records agree on (which model, how it ended, how the only attempt went) is in the line of the first of them.
The schema has a version, which every file carries: it rises with each column. A file of an older one reads with
defaults; one of a newer one is refused, since what it says could be lost here.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from gateway.store.ledger_rows import text
from gateway.store.record_query import ANY, NEWEST, Query
from gateway.store.records import Attempt, Record

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCHEMA: Final = 2
"""The version of the columns below."""
SCHEMA_KEY: Final = "lockgate_records_schema"
"""Under it the version stands in the metadata of each Parquet file."""


class SchemaTooNew(Exception):
    """A file was written by a later version of Lockgate. Says which."""


class Column(msgspec.Struct, frozen=True):
    """One column of the table."""

    name: str
    field: str
    """Of `Record`; empty for one that is made of others."""
    kind: str
    """DuckDB's type in the Parquet file."""
    meaning: str


_LARGEST: Final = 2**63 - 1
_TEXT: Final = "VARCHAR"
_INT: Final = "BIGINT"
_MS: Final = "DOUBLE"
_BY_TYPE: Final[dict[Any, str]] = {str: _TEXT, int: "{0}", float: _MS, list[int]: "{0}[]"}
_ATTEMPT: Final = {
    "followed_by" if field.name == "then" else field.name: field.type for field in msgspec.structs.fields(Attempt)
}
ATTEMPT_NAMES: Final = tuple(_ATTEMPT)
"""What the columns of an `Attempt` are called in the table; one of ours is a word of SQL."""
_ATTEMPTS: Final = f"STRUCT({', '.join(f'{name} {_BY_TYPE[kind]}' for name, kind in _ATTEMPT.items())})[]"
_READINGS: Final = "STRUCT(meter VARCHAR, used {0}, cap {0})[]"

COLUMNS: Final = (
    Column("id", "id", _TEXT, "the request's id, as in `x-request-id`; no two rows have the same"),
    Column("started", "", "TIMESTAMP", "when its first byte came, UTC, to the microsecond"),
    Column("started_ns", "started_ns", _INT, "the same, in nanoseconds since 1970"),
    Column("tenant", "tenant", _TEXT, "who asked; empty where the key was not known"),
    Column("project", "project", _TEXT, "the project it is booked to; empty for none"),
    Column("key", "key", _TEXT, "the key's name, never the key"),
    Column("end_user", "end_user", _TEXT, "`user` of the body"),
    Column(
        "conversation",
        "conversation",
        _TEXT,
        "a digest of the tenant and the caller's id of the conversation, or of how that begins",
    ),
    Column("trace", "", _TEXT, "the trace id in the caller's `traceparent`"),
    Column("traceparent", "traceparent", _TEXT, "W3C trace context as the caller sent it"),
    Column("caller_request_id", "caller_request_id", _TEXT, "the caller's own `x-request-id`"),
    Column("endpoint", "endpoint", _TEXT, "what was asked: chat, messages, infer, …; empty for an unknown path"),
    Column("model", "alias", _TEXT, "as the caller named it: where `backend` is empty that may be anything"),
    Column("backend", "backend", _TEXT, "the backend that answered, or was tried last"),
    Column("served_model", "served_model", _TEXT, "what that backend calls the model"),
    Column("model_version", "version", _TEXT, "of a classic model: the version asked for, then the one that answered"),
    Column("stream", "stream", "BOOLEAN", "was the answer streamed?"),
    Column("status", "status", _INT, "the HTTP status the caller got; 0 when none was sent"),
    Column("code", "code", _TEXT, "ok, the error's code, cancelled, or crashed"),
    Column("outcome", "outcome", _TEXT, "answered, refused, cancelled, failed or crashed"),
    Column("first_byte_ms", "first_byte_ms", _MS, "until the first byte of the answer; 0 when none was sent"),
    Column("total_ms", "total_ms", _MS, "until the last byte"),
    Column("body_bytes", "body_bytes", _INT, "received from the caller"),
    Column("answer_bytes", "answer_bytes", _INT, "sent to the caller"),
    Column("input_tokens", "input_tokens", _INT, "without those read from a cache; NULL where usage is not known"),
    Column("cached_input_tokens", "cached_input_tokens", _INT, "read from a cache"),
    Column("output_tokens", "output_tokens", _INT, "without reasoning"),
    Column("reasoning_tokens", "reasoning_tokens", _INT, "spent on reasoning"),
    Column("input_rows", "rows", _INT, "rows of a call of a classic model; NULL for others"),
    Column("charge_usd_nanos", "charge_nanos", _INT, "what the tenant pays, in billionths of a dollar; NULL: no price"),
    Column("waste_tokens", "waste_tokens", _INT, "output tokens that were made and reached nobody"),
    Column("waste_usd_nanos", "waste_nanos", _INT, "their price: in the charge when the caller left, else beside it"),
    Column("held_input_tokens", "held_input", _INT, "what the request could have used at most, of input"),
    Column("held_output_tokens", "held_output", _INT, "and of output"),
    Column("held_usd_nanos", "held_nanos", _INT, "and its price"),
    Column("usage_from", "usage_from", _TEXT, "who counted the tokens: backend, running, bound, held or none"),
    Column("action", "action", _TEXT, "what meters did to it, words separated by spaces"),
    Column(
        "readings", "readings", _READINGS, "of meters that acted: the bucket, used before, cap, in the meter's unit"
    ),
    Column("verdicts", "verdicts", _TEXT, "what checks found: phase:check:code:action:score:count, never the text"),
    Column("chain", "chain", _TEXT, "the chain of checks it went through; empty for none"),
    Column("timings", "timings", _TEXT, "what took time beside backends: stage:check:began_us:took_us:spent_us:times"),
    Column("judges", "judges", _TEXT, "models that judged its texts, separated by spaces"),
    Column("judge_input_tokens", "judge_input_tokens", _INT, "what those used, cached ones included"),
    Column("judge_output_tokens", "judge_output_tokens", _INT, "and of output"),
    Column("judge_usd_nanos", "judge_nanos", _INT, "and their price, which is in the charge"),
    Column("asked_output_tokens", "asked_output", _INT, "the most that all answers could have had; 0: as held"),
    Column("answers", "answers", _INT, "how many answers that was for; 0: as asked"),
    Column(
        "attempts",
        "attempts",
        _ATTEMPTS,
        "each try at a backend, in order; times as above, 0 for what never was; `followed_by` is what a journal "
        "calls `then`",
    ),
    Column("snapshot", "snapshot", _TEXT, "digest of the configuration it ran under"),
)

_FIELDS: Final = msgspec.structs.fields(Record)
_AT: Final = {field.name: f"c{number}" for number, field in enumerate(_FIELDS)}
_DEFAULTS: Final = {field.name: "NULL" if field.default is None else "''" for field in _FIELDS} | {
    field.name: str(field.default).lower() for field in _FIELDS if isinstance(field.default, (int, float))
}


_Attempt: Final = msgspec.defstruct("_Attempt", _ATTEMPT.items(), gc=False)
"""An `Attempt`, with its names."""


class _Reading(msgspec.Struct, gc=False):
    meter: str
    used: int
    cap: int


_LISTS: Final = frozenset(("attempts", "readings"))
_SHARED: Final = (
    *("endpoint", "alias", "snapshot", "backend", "served_model", "version", "status", "code", "outcome"),
    *("usage_from", "chain"),
)
"""Columns that many records agree on: only the first that does has them in its line."""
_ONLY: Final = {
    "backend": _TEXT,
    "endpoint": _TEXT,
    "reason": _TEXT,
    "choice": _TEXT,
    "status": "HUGEINT",
    "code": _TEXT,
}
"""What is shared of the only attempt of a record, where nothing followed it."""
_ONLY_OWN: Final = {"loads": "HUGEINT[]", "sent_ms": _MS, "first_byte_ms": _MS, "ended_ms": _MS, "draw": "HUGEINT"}
_OWN: Final = [field for field in _FIELDS if field.name not in _SHARED]
_Row: Final = msgspec.defstruct(
    "RecordRow",
    [
        ("s", int, 0),  # the number of what it shares
        *((f"o_{name}", Any, None) for name in _ONLY_OWN),
        *(
            (_AT[field.name], list[Any] | None, None)
            if field.name in _LISTS
            else (_AT[field.name], field.type, field.default)
            for field in _OWN
        ),
        ("first", bool, False),  # has what it shares
        *((f"o_{name}", Any, None) for name in _ONLY),
        *((_AT[field.name], field.type, field.default) for field in _FIELDS if field.name in _SHARED),
    ],
    omit_defaults=True,
    gc=False,
)
_own: Final = itemgetter(*(at for at, field in enumerate(_FIELDS) if field.name not in _SHARED))
_shared: Final = itemgetter(*(at for at, field in enumerate(_FIELDS) if field.name in _SHARED))
_ATTEMPTS_AT: Final = [field.name for field in _FIELDS].index("attempts")
_READINGS_AT: Final = [field.name for field in _FIELDS].index("readings")
_OWN_ATTEMPTS_AT: Final = [field.name for field in _OWN].index("attempts")
_OWN_READINGS_AT: Final = [field.name for field in _OWN].index("readings")
_encode_lines: Final = msgspec.json.Encoder().encode_lines
_values: Final = msgspec.structs.astuple
_numbers: Final = itertools.count(1)
_NO_ATTEMPT: Final[tuple[Any, ...]] = (None,) * len(_ONLY)
_NOT_ONLY: Final[tuple[Any, ...]] = (None,) * len(_ONLY_OWN)


def began_ns(row: Record) -> int:
    """What decides its day."""
    return row.started_ns


def lines(records: Iterable[Record]) -> bytes:
    """Records as lines, which `from_json` reads: of one call or of several of this process, one behind the other."""
    rows = []
    known: dict[tuple[Any, ...], int] = {}
    for record in records:
        values = _values(record)
        own = list(_own(values))
        tried, only = _NO_ATTEMPT, _NOT_ONLY
        attempts = record.attempts
        own[_OWN_ATTEMPTS_AT] = None
        if len(attempts) == 1 and not ((one := attempts[0]).then or one.out_of_service or one.endpoints_left):
            tried = (one.backend, one.endpoint, one.reason, one.choice, one.status, one.code)
            only = (one.loads, one.sent_ms, one.first_byte_ms, one.ended_ms, one.draw)
        elif attempts:
            own[_OWN_ATTEMPTS_AT] = [_Attempt(*_values(attempt)) for attempt in attempts]
        own[_OWN_READINGS_AT] = [_Reading(*reading) for reading in record.readings] if record.readings else None
        shared = (*tried, *_shared(values))
        number = known.get(shared)
        if number is None:
            number = known[shared] = next(_numbers)
            rows.append(_Row(number, *only, *own, True, *shared))
        else:
            rows.append(_Row(number, *only, *own))
    return _encode_lines(rows)


def from_json(path: Path) -> str:
    """SQL: the table's columns, of a file of lines, in no order."""
    kinds = {_AT[column.field]: _read_as(column) for column in COLUMNS if column.field}
    kinds |= {"s": "BIGINT", "first": "BOOLEAN"} | {f"o_{name}": kind for name, kind in (_ONLY | _ONLY_OWN).items()}
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in kinds.items())
    options = f"format = 'newline_delimited', maximum_object_size = 1048576, columns = {{{columns}}}"
    shared = ", ".join((*(_AT[name] for name in _SHARED), *(f"o_{name}" for name in _ONLY)))
    values = ", ".join(f'{_value(column)} AS "{column.name}"' for column in COLUMNS)
    return (
        f"WITH lines AS MATERIALIZED (FROM read_json([{text(str(path))}], {options})) SELECT {values} "
        f"FROM lines AS r JOIN (SELECT s, {shared} FROM lines WHERE first) AS shared USING (s)"
    )


SORTED: Final = "ORDER BY tenant, started_ns, id"
OPTIONS: Final = f", COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 16384, KV_METADATA {{{SCHEMA_KEY}: '{SCHEMA}'}}"


def _read_as(column: Column) -> str:
    # A journal takes any number of 64 bits, with a sign or without: none of them may keep the table from going on.
    return "HUGEINT" if column.kind == _INT else column.kind.format("HUGEINT")


_AS_ATTEMPT: Final = ", ".join(
    f"{name} := "
    + (f"shared.o_{name}" if name in _ONLY else f"coalesce(r.o_{name}, [])" if name == "loads" else f"r.o_{name}")
    if name in _ONLY or name in _ONLY_OWN
    else f"{name} := " + ("[]" if kind == list[int] else "''" if kind is str else "0")
    for name, kind in _ATTEMPT.items()
)
_ONLY_ATTEMPT: Final = f"[struct_pack({_AS_ATTEMPT})]"


def _value(column: Column) -> str:
    if column.name == "started":
        return f"make_timestamp((coalesce(r.{_AT['started_ns']}, 0) // 1000)::BIGINT)"
    if column.name == "trace":
        return f"coalesce(r.{_AT['traceparent']}[4:35], '')"
    value = f"{'shared' if column.field in _SHARED else 'r'}.{_AT[column.field]}"
    if column.field in _LISTS:
        kind = column.kind.format("BIGINT")
        if column.field == "attempts":
            value = f"CASE WHEN r.o_sent_ms IS NULL THEN {value} ELSE {_ONLY_ATTEMPT} END"
        return f"coalesce(TRY_CAST({value} AS {kind}), []::{kind})"
    if column.kind == _INT:
        value = f"(CASE WHEN {value} > {_LARGEST} THEN {_LARGEST} ELSE {value} END)::BIGINT"
    return f"coalesce({value}, {_DEFAULTS[column.field]})"


def from_parquet(paths: Sequence[str]) -> str:
    """SQL: the columns of files of the table, those of versions that knew fewer columns too."""
    files = ", ".join(map(text, paths))
    return (
        f"{nothing()} UNION ALL BY NAME "
        f"SELECT * FROM read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
    )


def merged(paths: Sequence[str]) -> str:
    """SQL: the rows of files that become one, sorted."""
    return f"{from_parquet(paths)} {SORTED}"


def nothing() -> str:
    """SQL: the columns, and no row."""
    kinds = ((column.name, column.kind.format("BIGINT")) for column in COLUMNS)
    return "SELECT " + ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in kinds) + " WHERE false"


def as_stored() -> str:
    """SQL: columns in the order of a `Record`'s, for `record_of`."""
    by_field = {column.field: column for column in COLUMNS}
    return ", ".join(_stored(by_field[field.name]) for field in _FIELDS)


def _stored(column: Column) -> str:
    default = "[]" if column.field in _LISTS else _DEFAULTS[column.field]
    return f'"{column.name}"' if default == "NULL" else f'coalesce("{column.name}", {default})'


def where(query: Query, source: str, database: DuckDBPyConnection) -> str:
    """SQL: what is asked for of the rows of `source`, as `Query.holds` says it. Raises duckdb.Error."""
    name = {column.field: column.name for column in COLUMNS}
    wanted = [f'"{name[field]}" = {_literal(value)}' for field, value in query.same]
    for column, sign, bound in (
        ("started_ns", ">=", query.since_ns),
        ("started_ns", "<", query.until_ns),
        ("charge_usd_nanos", ">=", max(0, query.min_charge_nanos or 0) or None),
        ("total_ms", ">=", query.min_total_ms),
    ):
        if bound is not None:
            wanted.append(f"{column} {sign} {bound!r}")
    if query.trace:
        wanted.append(f"trace = {text(query.trace)}")
    for column, values in (("id", query.ids), ("trace", query.traces), ("tenant", query.tenants)):
        if values:
            wanted.append(f"{column} IN ({', '.join(map(text, values))})")
    if query.before is not None:
        moment, last = query.before
        wanted.append(f"started_ns <= {moment} AND (started_ns < {moment} OR id < {text(last)})")
    if query.verdict:
        # Equality is judged before the other columns are read, an expression is not: so it is asked for once, alone.
        having = f"verdicts <> '' AND regexp_matches(verdicts, {text(query.verdict_pattern)})"
        rows = database.execute(f"SELECT DISTINCT verdicts FROM ({source}) WHERE {having}").fetchall()
        wanted.append(f"verdicts IN ({', '.join(text(row[0]) for row in rows)})" if rows else "false")
    return " WHERE " + " AND ".join(wanted) if wanted else ""


def _literal(value: str | int) -> str:
    return text(value) if isinstance(value, str) else str(value)


def ordered(query: Query) -> str:
    """SQL: in the order asked for, so many."""
    down = " DESC" if query.order == NEWEST else ""
    order = "" if query.order == ANY else f" ORDER BY started_ns{down}, id{down}"
    return order if query.limit is None else f"{order} LIMIT {query.limit}"


def record_of(row: Sequence[Any]) -> Record:
    """The record of a row of `as_stored`."""
    values = list(row)
    values[_ATTEMPTS_AT] = [Attempt(*attempt.values()) for attempt in values[_ATTEMPTS_AT]]
    values[_READINGS_AT] = [tuple(reading.values()) for reading in values[_READINGS_AT]]
    return Record(*values)


def check(
    database: DuckDBPyConnection,
    paths: Sequence[str],
    whose: str = "records'",
    key: str = SCHEMA_KEY,
    version: int = SCHEMA,
) -> None:
    """Raises SchemaTooNew where one of the files is of a later version; duckdb.Error where one cannot be read."""
    files = ", ".join(map(text, paths))
    newest = database.execute(
        f"SELECT file_name, decode(value)::BIGINT AS found FROM parquet_kv_metadata([{files}]) "
        f"WHERE decode(key) = {text(key)} ORDER BY found DESC LIMIT 1"
    ).fetchone()
    if newest is not None and newest[1] > version:
        raise SchemaTooNew(
            f"{newest[0]} is of version {newest[1]} of the {whose} schema, and this Lockgate reads {version}: "
            "use the version that wrote it, or a later one"
        )

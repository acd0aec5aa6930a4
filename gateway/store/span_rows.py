"""The columns of the table of agents' spans, under the names of `AgentSpan`. As in the records table, each file carries
the version of its columns: an older one reads with defaults, a newer one is refused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from gateway.store import record_rows
from gateway.store.ledger_rows import text
from gateway.telemetry import agent_spans
from gateway.telemetry.agent_spans import AgentSpan

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SCHEMA: Final = 1
SCHEMA_KEY: Final = "lockgate_spans_schema"


class Column(NamedTuple):
    """One column of the table."""

    name: str
    field: str
    """Of `AgentSpan`; empty for one that is made of others."""
    kind: str
    meaning: str


_TEXT: Final = "VARCHAR"
_INT: Final = "BIGINT"

COLUMNS: Final = (
    Column("trace", "trace", _TEXT, "the trace it belongs to, 32 hexadecimal digits"),
    Column("span", "span", _TEXT, "its own id, 16 hexadecimal digits"),
    Column("parent", "parent", _TEXT, "the span it is part of; empty for the root"),
    Column("started", "", "TIMESTAMP", "when it began by the agent's clock, UTC, to the microsecond"),
    Column("started_ns", "started_ns", _INT, "the same, in nanoseconds since 1970"),
    Column("ended_ns", "ended_ns", _INT, "when it ended"),
    Column("tenant", "tenant", _TEXT, "who sent it"),
    Column("project", "project", _TEXT, "the project it was sent for; empty for none"),
    Column("key", "key", _TEXT, "the name of the key it was sent with"),
    Column("request", "request", _TEXT, "the id of the request it came in"),
    Column("received_ns", "received_ns", _INT, "when that came, by the gateway's clock"),
    Column("name", "name", _TEXT, "as the agent named it"),
    Column("kind", "kind", _TEXT, "internal, server, client, producer or consumer"),
    Column("error", "error", "BOOLEAN", "did it fail?"),
    Column("error_type", "error_type", _TEXT, "of which kind: a class or a code, never a message"),
    Column(
        "operation", "operation", _TEXT, "chat, execute_tool, invoke_agent, …: OpenTelemetry's word where there is one"
    ),
    Column("model", "model", _TEXT, "the model it asked for"),
    Column("provider", "provider", _TEXT, "who serves that, in the agent's word"),
    Column("agent", "agent", _TEXT, "the agent's name"),
    Column("tool", "tool", _TEXT, "the tool's name"),
    Column("conversation", "conversation", _TEXT, "the agent's id of the conversation or session"),
    Column("end_user", "end_user", _TEXT, "the agent's id of its user"),
    Column("input_tokens", "input_tokens", _INT, "without those read from a cache; NULL where it says none"),
    Column("cached_input_tokens", "cached_input_tokens", _INT, "read from a cache"),
    Column("output_tokens", "output_tokens", _INT, "without reasoning"),
    Column("reasoning_tokens", "reasoning_tokens", _INT, "spent on reasoning"),
    Column("cost_usd_nanos", "cost_nanos", _INT, "what the agent believes it cost, in billionths of a dollar"),
    Column("service", "service", _TEXT, "the program: `service.name` of its resource"),
    Column("scope", "scope", _TEXT, "the library that made the span"),
    Column("attributes", "attributes", _TEXT, "other attributes that are kept, as a JSON object; empty for none"),
    Column("events", "events", _TEXT, "name and time of its events, as a JSON list; empty for none"),
    Column("left_out", "left_out", _INT, "how many of its attributes are not kept"),
)

SORTED: Final = "ORDER BY tenant, trace, started_ns, span"
OPTIONS: Final = f", ROW_GROUP_SIZE 16384, KV_METADATA {{{SCHEMA_KEY}: '{SCHEMA}'}}"

_FIELDS: Final = msgspec.structs.fields(AgentSpan)
_DEFAULTS: Final = {
    field.name: "NULL"
    if field.default is None
    else "''"
    if isinstance(field.default, str)
    else str(field.default).lower()
    for field in _FIELDS
}
_encode_lines: Final = msgspec.json.Encoder().encode_lines


def began_ns(span: AgentSpan) -> int:
    """What decides its day."""
    return agent_spans.began_ns(span)


def lines(spans: Iterable[AgentSpan]) -> bytes:
    """Spans as lines, which `from_json` reads."""
    return _encode_lines(spans)


def from_json(path: Path) -> str:
    """SQL: the table's columns, of a file of lines; sorted."""
    kinds = ", ".join(f"{column.field}: '{column.kind}'" for column in COLUMNS if column.field)
    values = ", ".join(
        f'{column.field or "make_timestamp(started_ns // 1000)"} AS "{column.name}"' for column in COLUMNS
    )
    options = f"format = 'newline_delimited', maximum_object_size = 1048576, columns = {{{kinds}}}"
    return f"SELECT {values} FROM read_json([{text(str(path))}], {options}) {SORTED}"


def from_parquet(paths: Sequence[str]) -> str:
    """SQL: the columns of files of the table."""
    files = ", ".join(map(text, paths))
    nothing = ", ".join(f'NULL::{column.kind} AS "{column.name}"' for column in COLUMNS)
    return (
        f"SELECT {nothing} WHERE false UNION ALL BY NAME "
        f"SELECT * FROM read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
    )


def merged(paths: Sequence[str]) -> str:
    """SQL: the rows of files that become one, sorted; of each span of a tenant's trace the one that came first: an
    agent that heard no answer sends the same again."""
    rows, key = from_parquet(paths), ("tenant", "trace", "span")
    # Beside sorting this costs nothing that can be measured; `QUALIFY row_number() … = 1` makes a merge three times as
    # dear, since all columns pass through it.
    again = (
        f"SELECT {', '.join(key)}, arg_min(request, received_ns) AS first_request FROM ({rows}) "
        f"GROUP BY {', '.join(key)} HAVING count(*) > 1"
    )
    same = " AND ".join(f"rows.{name} = again.{name}" for name in key)
    return (
        f"SELECT rows.* FROM ({rows}) AS rows ANTI JOIN ({again}) AS again "
        f"ON {same} AND rows.request <> again.first_request {SORTED}"
    )


def as_stored() -> str:
    """SQL: columns in the order of an `AgentSpan`'s, for `span_of`."""
    names = {column.field: column.name for column in COLUMNS}
    return ", ".join(f'coalesce("{names[field.name]}", {_DEFAULTS[field.name]})' for field in _FIELDS)


def span_of(row: Sequence[Any]) -> AgentSpan:
    """The span of a row of `as_stored`."""
    return AgentSpan(*row)


def check(database: DuckDBPyConnection, paths: Sequence[str]) -> None:
    """Raises SchemaTooNew where one of the files is of a later version; duckdb.Error where one cannot be read."""
    record_rows.check(database, paths, "spans'", SCHEMA_KEY, SCHEMA)

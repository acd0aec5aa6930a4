"""Finds traces in a state directory: agents' spans from their table and from what waits to be stored, and the records
of requests made in the same trace. Works beside a running gateway, takes no lock and changes nothing.

A trace is a tenant's: two tenants that use one id have two traces.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from gateway.errors import GatewayError
from gateway.store import duck, lake, manifest, record_read, record_spans, span_rows, span_spool
from gateway.store.compaction import DAY_NS, day_name
from gateway.store.ledger_rows import text
from gateway.store.manifest import LedgerUnreadable, RecordFile
from gateway.store.record_query import NEWEST, Query
from gateway.store.records import Record
from gateway.telemetry import agent_names, agent_spans
from gateway.telemetry.agent_spans import ASKEW_NS, AgentSpan
from gateway.wire import trace_ids
from gateway.wire.otlp import request

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_SPANS: Final = 10_000
"""Of one trace, that are read; and as many requests."""
_SCANNED: Final = 2_000
"""Newest requests that a list looks at for traces of which no agent told."""
_BEGAN: Final = f"CASE WHEN abs(started_ns - received_ns) < {ASKEW_NS} THEN started_ns ELSE received_ns END"
"""SQL: `agent_spans.began_ns`."""
_NEAR_NS: Final = 2 * DAY_NS
"""No trace is longer; and spans are filed by agents' clocks."""


class Asked(NamedTuple):
    """Which traces are asked for. Times are nanoseconds since the Unix epoch, of a trace's first span."""

    since_ns: int | None = None
    until_ns: int | None = None
    tenant: str = ""
    """Only this tenant's; empty: of any."""
    tenants: tuple[str, ...] = ()
    """Only of these; none: of any."""
    limit: int = 20

    def sees(self, tenant: str) -> bool:
        """Is this tenant among those asked for?"""
        return (not self.tenant or tenant == self.tenant) and (not self.tenants or tenant in self.tenants)


class Trace(NamedTuple):
    """Everything there is of one trace of one tenant."""

    tenant: str
    trace: str
    agent: tuple[AgentSpan, ...]
    """At most `MOST_SPANS`, the first ones; each span once."""
    records: tuple[Record, ...]
    """At most as many."""
    cut: bool
    """There are more of either."""


class Told(NamedTuple):
    """What agents told of a trace, in sum."""

    tenant: str
    trace: str
    started_ns: int
    ended_ns: int
    spans: int
    errors: int
    name: str
    """Of its first span."""
    service: str


class Line(NamedTuple):
    """One trace of a list."""

    tenant: str
    trace: str
    started_ns: int
    ended_ns: int
    name: str
    service: str
    agent_spans: int
    requests: int
    errors: int
    input_tokens: int
    """As the requests' backends counted, cached ones included; so the output, reasoning included."""
    output_tokens: int
    charge_nanos: int


def read(state_dir: Path, trace: str, asked: Asked = Asked()) -> list[Trace]:  # noqa: B008 (immutable)
    """The traces of this id: one for each tenant that has one. Raises what `record_read.records` does."""
    records: dict[str, list[Record]] = {}
    for record in _records_of(state_dir, trace, asked):
        records.setdefault(record.tenant, []).append(record)
    told: dict[str, list[AgentSpan]] = {}
    for span in _spans_of(state_dir, trace, asked):
        told.setdefault(span.tenant, []).append(span)
    return [
        Trace(
            tenant,
            trace,
            tuple(told.get(tenant, ())[:MOST_SPANS]),
            tuple(records.get(tenant, ())[:MOST_SPANS]),
            max(len(told.get(tenant, ())), len(records.get(tenant, ()))) > MOST_SPANS,
        )
        for tenant in sorted(records.keys() | told.keys())
    ]


def newest(state_dir: Path, asked: Asked) -> list[Line]:
    """The newest traces that are asked for, `limit` of them. Raises as `read` does."""
    told = {(one.tenant, one.trace): one for one in _told(state_dir, asked)}
    served: dict[tuple[str, str], list[Record]] = {}
    scanned = Query(
        since_ns=asked.since_ns,
        until_ns=asked.until_ns,
        tenant=asked.tenant or None,
        tenants=asked.tenants,
        limit=_SCANNED,
        order=NEWEST,
    )
    for record in record_read.records(state_dir, scanned):
        if _counts(record):
            served.setdefault((record.tenant, record_spans.trace_of(record)), []).append(record)
            if len(served) > asked.limit:
                break
    chosen = sorted(told.keys() | served.keys(), key=lambda key: -_began(told.get(key), served.get(key, [])))
    chosen = chosen[: 2 * asked.limit]  # one that began before its newest request may give way to another
    ids = tuple({trace for _, trace in chosen})
    if not ids:
        return []
    told = {(one.tenant, one.trace): one for one in _told(state_dir, asked, ids)}
    moments = [_began(told.get(key), served.get(key, [])) for key in chosen]
    whole = Query(
        since_ns=min(moments) - _NEAR_NS,
        until_ns=max(moments) + _NEAR_NS,
        tenant=asked.tenant or None,
        tenants=asked.tenants,
        traces=ids,
    )
    for record in record_read.records(state_dir, whole):
        its = served.setdefault((record.tenant, record_spans.trace_of(record)), [])
        if _counts(record) and all(one.id != record.id for one in its):
            its.append(record)
    lines = [_line(key, told.get(key), served.get(key, [])) for key in chosen]
    return sorted((one for one in lines if _within(one, asked)), key=lambda one: -one.started_ns)[: asked.limit]


def _counts(record: Record) -> bool:
    """Is it part of a trace? Not what brought spans, nor what nobody knows who asked."""
    return record.endpoint != "traces" and bool(record.tenant)


def _began(told: Told | None, records: Sequence[Record]) -> int:
    moments = [record.started_ns for record in records] + ([told.started_ns] if told is not None else [])
    return min(moments)


def _within(line: Line, asked: Asked) -> bool:
    return (asked.since_ns is None or line.started_ns >= asked.since_ns) and (
        asked.until_ns is None or line.started_ns < asked.until_ns
    )


def _line(key: tuple[str, str], told: Told | None, records: Sequence[Record]) -> Line:
    began = _began(told, records)
    ends = [record.started_ns + int(record.total_ms * 1e6) for record in records]
    first = min(records, key=lambda record: record.started_ns, default=None)
    name = told.name if told is not None else f"{first.endpoint} {first.alias}".strip() if first is not None else ""
    return Line(
        *key,
        started_ns=began,
        ended_ns=max([*ends, told.ended_ns if told is not None else began]),
        name=name,
        service=told.service if told is not None else "",
        agent_spans=told.spans if told is not None else 0,
        requests=len(records),
        errors=sum(map(record_spans.failed, records)) + (told.errors if told is not None else 0),
        input_tokens=sum((one.input_tokens or 0) + (one.cached_input_tokens or 0) for one in records),
        output_tokens=sum((one.output_tokens or 0) + (one.reasoning_tokens or 0) for one in records),
        charge_nanos=sum(one.charge_nanos or 0 for one in records),
    )


def _records_of(state_dir: Path, trace: str, asked: Asked) -> Iterator[Record]:
    """Requests made in the trace: those whose callers named it, or the one whose trace is its own."""
    common = Query(tenant=asked.tenant or None, tenants=asked.tenants, limit=MOST_SPANS + 1)
    replace = msgspec.structs.replace
    for query in (replace(common, trace=trace), replace(common, ids=trace_ids.requests_of(trace))):
        for record in record_read.records(state_dir, query):
            if record_spans.trace_of(record) == trace and _counts(record):
                yield record


def _spans_of(state_dir: Path, trace: str, asked: Asked) -> Iterator[AgentSpan]:
    """Each span once: what was sent again is there twice."""
    seen: set[tuple[str, str]] = set()
    wanted = f"trace = {text(trace)}" + _of_tenants(asked)
    most = 2 * MOST_SPANS + 1  # what is there twice may be among them

    def rows(source: str) -> str:
        first = f"row_number() OVER (PARTITION BY tenant ORDER BY started_ns, span) <= {most}"
        picked = f"SELECT * FROM {source} WHERE {wanted} QUALIFY {first}"
        return f"SELECT {span_rows.as_stored()} FROM ({picked}) ORDER BY started_ns, span"

    for row in _ask(state_dir, rows, asked, lambda body: _mentions(body, trace)):
        span = span_rows.span_of(row)
        if (span.tenant, span.span) not in seen:
            seen.add((span.tenant, span.span))
            yield span


def _mentions(body: bytes, trace: str) -> bool:
    return bytes.fromhex(trace) in body or trace.encode() in body.lower()


def _told(state_dir: Path, asked: Asked, traces: Sequence[str] = ()) -> list[Told]:
    """The newest of what agents told; or of these traces."""
    began = []
    if asked.since_ns is not None:
        began.append(f"min({_BEGAN}) >= {asked.since_ns}")
    if asked.until_ns is not None:
        began.append(f"min({_BEGAN}) < {asked.until_ns}")
    having = f" HAVING {' AND '.join(began)}" if began and not traces else ""
    only = f" AND trace IN ({', '.join(map(text, traces))})" if traces else ""
    limit = "" if traces else f" LIMIT {asked.limit + 1}"

    def sums(source: str) -> str:
        return (
            f"SELECT tenant, trace, min({_BEGAN}), max({_BEGAN} + least(ended_ns - started_ns, {ASKEW_NS})), "
            "count(DISTINCT span), count(DISTINCT span) FILTER (WHERE error), "
            f"arg_min(name, {_BEGAN}), arg_min(service, {_BEGAN}) "
            f"FROM {source} WHERE true{only}{_of_tenants(asked)} GROUP BY tenant, trace{having} "
            f"ORDER BY min({_BEGAN}) DESC{limit}"
        )

    return [Told(*row) for row in _ask(state_dir, sums, asked, lambda _: True)]


def _of_tenants(asked: Asked) -> str:
    wanted = f" AND tenant = {text(asked.tenant)}" if asked.tenant else ""
    return wanted + (f" AND tenant IN ({', '.join(map(text, asked.tenants))})" if asked.tenants else "")


def _ask(
    state_dir: Path, question: Callable[[str], str], asked: Asked, worth: Callable[[bytes], bool]
) -> list[tuple[Any, ...]]:
    """The rows of a question of all spans; `worth`: is the body of a request that waits worth reading?"""
    # What waits first: what the keeper stores meanwhile is then in both, and told apart by its file or its id.
    fresh = list(_waiting(state_dir, asked, worth))
    now = manifest.read(state_dir)
    taken = frozenset(now.spans_taken)
    waiting = [span for name, spans in fresh if name not in taken for span in spans]
    files = [file for file in now.spans if _concerns(file.day, asked)]
    if not files and not waiting:
        return []
    with (
        tempfile.TemporaryDirectory(prefix="lockgate-spans-") as temporary,
        duck.connection(Path(temporary)) as database,
    ):
        sources = [_stored(database, state_dir, files)] if files else []
        if waiting:
            path = Path(temporary) / "waiting"
            path.write_bytes(span_rows.lines(waiting))
            sources.append(f"SELECT * FROM ({span_rows.from_json(path)})")
        return _rows(database, question(f"({' UNION ALL BY NAME '.join(sources)})"))


def _stored(database: DuckDBPyConnection, state_dir: Path, files: Sequence[RecordFile]) -> str:
    import duckdb

    paths = [lake.address(file.at or str(manifest.spans_folder(state_dir)), file.name) for file in files]
    for at in {file.at for file in files}:
        lake.open_to(database, at)
    try:
        span_rows.check(database, paths)
    except duckdb.Error as error:
        raise LedgerUnreadable(f"cannot read the spans: {error}") from error
    return span_rows.from_parquet(paths)


def _rows(database: DuckDBPyConnection, question: str) -> list[tuple[Any, ...]]:
    import duckdb

    try:
        return database.execute(question).fetchall()
    except duckdb.Error as error:
        raise LedgerUnreadable(f"cannot read the spans: {error}") from error


def _waiting(state_dir: Path, asked: Asked, worth: Callable[[bytes], bool]) -> Iterator[tuple[str, list[AgentSpan]]]:
    for path in span_spool.waiting(state_dir):
        with contextlib.suppress(OSError, ValueError, GatewayError):  # stored and removed meanwhile, or no one's
            head, body = span_spool.read(path)
            if asked.sees(head.sender.tenant) and worth(body):
                spans = request.spans(body, head.form, agent_names.kept)
                yield path.name, [agent_spans.of(sent, head.sender) for sent in spans]


def _concerns(day: str, asked: Asked) -> bool:
    """May spans of that day be of traces that are asked for?"""
    since = None if asked.since_ns is None else day_name(max(0, asked.since_ns - _NEAR_NS) // DAY_NS)
    until = None if asked.until_ns is None else day_name((asked.until_ns + _NEAR_NS) // DAY_NS)
    return (since is None or day >= since) and (until is None or day <= until)

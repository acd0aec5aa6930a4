"""What a record says to those who watch: counts in cells, and a line of the access log.

It stands in `store` because it reads records, which `telemetry`, a layer below, knows nothing of.
"""

from __future__ import annotations

from typing import Final

import msgspec

from gateway.store.records import Record
from gateway.telemetry.logs import Timestamps, redacted
from gateway.telemetry.metrics import Cell, Metrics


class Line(msgspec.Struct, gc=False, omit_defaults=True):
    """One request in the access log, as it is encoded; what is empty or not known is left out.

    Not in it, though recorded: the end user, the conversation, the trace, the snapshot.
    """

    # A default is left out only if the value is that very object, which a computed 0.0 is not: so None.
    time: str
    """Its end."""
    level: str
    event: str
    id: str
    code: str
    outcome: str
    stream: bool
    attempts: int
    body_bytes: int
    answer_bytes: int
    status: int | None = None
    total_ms: float | None = None
    first_byte_ms: float | None = None
    tenant: str | None = None
    key: str | None = None
    endpoint: str | None = None
    model: str | None = None
    backend: str | None = None
    served_model: str | None = None
    upstream: str | None = None
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    reasoning_tokens: int | None = None
    caller_request_id: str | None = None


_MOST_CACHED: Final = 50_000


class Counting:
    """Adds records to metrics."""

    __slots__ = ("_attempts", "_cells", "_metrics", "_tenants")

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._tenants = metrics.tenants
        self._attempts = metrics.attempts
        # Columns as they came → cell, but the tenant as a label: a hundred thousand of them share cells. Aliases nobody
        # configured are among them, so this is emptied when it grows large.
        self._cells: dict[tuple[str, str, str, str, str, str, bool], Cell] = {}

    def add(self, record: Record) -> None:
        """Counts one record."""
        tenant = record.tenant
        columns = (
            tenant if tenant in self._tenants else self._metrics.tenant(tenant),
            record.endpoint,
            record.alias,
            record.backend,
            record.code,
            record.outcome,
            record.stream,
        )
        cell = self._cells.get(columns)
        if cell is None:
            if len(self._cells) >= _MOST_CACHED:
                self._cells.clear()
            cell = self._cells[columns] = self._metrics.cell(*columns)
        cell.requests += 1
        cell.body_bytes += record.body_bytes
        cell.answer_bytes += record.answer_bytes
        cell.input_tokens += record.input_tokens or 0
        cell.cached_input_tokens += record.cached_input_tokens or 0
        cell.output_tokens += record.output_tokens or 0
        cell.reasoning_tokens += record.reasoning_tokens or 0
        if record.outcome == "answered":
            total_ms = record.total_ms
            latencies = cell.latencies
            latencies.duration.observe(total_ms * 1e-3)
            first_byte_ms = record.first_byte_ms
            if record.stream and first_byte_ms > 0:
                latencies.ttft.observe(first_byte_ms * 1e-3)
                made = (record.output_tokens or 0) + (record.reasoning_tokens or 0)  # either takes its time
                if made > 1:
                    latencies.tpot.observe((total_ms - first_byte_ms) * 1e-3 / (made - 1))
        attempts = self._attempts
        for attempt in record.attempts:
            labels = (attempt.backend, attempt.endpoint, attempt.reason, attempt.code)
            count = attempts.get(labels)
            if count is None:
                self._metrics.attempt(*labels)
            else:
                attempts[labels] = count + 1


def line(record: Record, times: Timestamps) -> Line:
    """A record's line. What a caller chose freely (its id, an alias that led nowhere) is masked where it looks like a
    key."""
    attempts = record.attempts
    backend = record.backend
    total_ms = record.total_ms
    caller_id = record.caller_request_id
    return Line(  # by position: twice as fast, and there is one for every request
        times.format(record.started_ns + int(total_ms * 1e6)),
        "info",
        "request_ended",
        record.id,
        record.code,
        record.outcome,
        record.stream,
        len(attempts),
        record.body_bytes,
        record.answer_bytes,
        record.status or None,
        total_ms or None,
        record.first_byte_ms or None,
        record.tenant or None,
        record.key or None,
        record.endpoint or None,
        (record.alias if backend else redacted(record.alias)) or None,
        backend or None,
        record.served_model or None,
        attempts[-1].endpoint if attempts else None,
        record.input_tokens,
        record.cached_input_tokens or None,
        record.output_tokens,
        record.reasoning_tokens or None,
        redacted(caller_id) if caller_id else None,
    )

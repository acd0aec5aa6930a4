"""What a record says to those who watch: counts in cells, and a line of the access log.

It stands in `store` because it reads records, which `telemetry`, a layer below, knows nothing of.
"""

from __future__ import annotations

from typing import Final

from gateway.store.records import Record
from gateway.telemetry.logs import Timestamps, redacted
from gateway.telemetry.metrics import Cell, Metrics

Line = dict[str, object]

_MOST_CACHED: Final = 50_000


class Counting:
    """Adds records to metrics."""

    __slots__ = ("_cells", "_metrics")

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Columns as they came → cell. Aliases nobody configured are among them, so this is emptied when it grows large.
        self._cells: dict[tuple[str, str, str, str, str, str, bool], Cell] = {}

    def add(self, record: Record) -> None:
        """Counts one record."""
        columns = (
            record.tenant,
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
        if record.input_tokens is not None or record.output_tokens is not None:
            _add_tokens(cell, record)
        if record.outcome == "answered":
            total_ms = record.total_ms
            latencies = cell.latencies
            latencies.duration.observe(total_ms * 1e-3)
            first_byte_ms = record.first_byte_ms
            if record.stream and first_byte_ms > 0:
                latencies.ttft.observe(first_byte_ms * 1e-3)
                output_tokens = record.output_tokens
                if output_tokens is not None and output_tokens > 1:
                    latencies.tpot.observe((total_ms - first_byte_ms) * 1e-3 / (output_tokens - 1))
        for attempt in record.attempts:
            self._metrics.attempt(attempt.backend, attempt.endpoint, attempt.reason, attempt.code)


def _add_tokens(cell: Cell, record: Record) -> None:
    """Records count as backends do, a class within another; cells hold classes that do not overlap."""
    cached = record.cached_input_tokens or 0
    reasoning = record.reasoning_tokens or 0
    cell.cached_input_tokens += cached
    cell.input_tokens += max(0, (record.input_tokens or 0) - cached)
    cell.reasoning_tokens += reasoning
    cell.output_tokens += max(0, (record.output_tokens or 0) - reasoning)


def line(record: Record, times: Timestamps) -> Line:
    """One request in the access log; the time is its end. What a caller sent as an id is masked if it looks like a key.

    Not in it, though recorded: the end user, the conversation, the trace.
    """
    attempts = record.attempts
    caller_id = record.caller_request_id
    alias = record.alias
    return {
        "time": times.format(record.started_ns + int(record.total_ms * 1e6)),
        "level": "info",
        "event": "request_ended",
        "id": record.id,
        "tenant": record.tenant,
        "key": record.key,
        "endpoint": record.endpoint,
        "model": alias if record.backend else redacted(alias),
        "stream": record.stream,
        "status": record.status,
        "code": record.code,
        "outcome": record.outcome,
        "backend": record.backend,
        "served_model": record.served_model,
        "upstream": attempts[-1].endpoint if attempts else "",
        "attempts": len(attempts),
        "input_tokens": record.input_tokens,
        "output_tokens": record.output_tokens,
        "first_byte_ms": record.first_byte_ms,
        "total_ms": record.total_ms,
        "body_bytes": record.body_bytes,
        "answer_bytes": record.answer_bytes,
        "snapshot": record.snapshot[:12],
        "caller_request_id": redacted(caller_id) if caller_id else "",
    }

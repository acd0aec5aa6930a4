"""The name, meaning and labels of every metric: the one list that the code, the documentation and the tests share.

Labels are closed sets, or bounded where they follow the configuration: `tenant` and `model` take at most `MOST_VALUES`
different values, then "other"; "none" stands for what was not known when the request ended.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

MOST_VALUES: Final = 1_000
"""Values a `tenant` or `model` label may take; a scrape of more would cost more than it tells."""
MOST_SERIES: Final = 20_000
"""Combinations of labels kept for one family of metrics; what is new beyond them counts under "other"."""
OTHER: Final = "other"
NONE: Final = "none"

Kind = Literal["counter", "gauge", "histogram"]


class Metric(msgspec.Struct, frozen=True):
    """One metric as it is exposed: counters end in `_total`, names carry their unit."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    """Upper bounds, in the metric's unit, of a histogram."""


_LATENCY_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_TPOT_S: Final = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0)

REQUESTS: Final = Metric(
    "lockgate_requests_total",
    "counter",
    "Requests that ended, by how: each has one record. `code` is ok, cancelled, crashed or an error code.",
    ("tenant", "endpoint", "model", "backend", "code", "outcome"),
)
TOKENS: Final = Metric(
    "lockgate_tokens_total",
    "counter",
    "Tokens as backends counted them, in classes that do not overlap: input (uncached), cached_input, output "
    "(without reasoning), reasoning.",
    ("tenant", "model", "class"),
)
REQUEST_BYTES: Final = Metric(
    "lockgate_body_bytes_total", "counter", "Bytes of request bodies received.", ("endpoint", "model")
)
ANSWER_BYTES: Final = Metric(
    "lockgate_answer_bytes_total", "counter", "Bytes of answer bodies sent.", ("endpoint", "model")
)
DURATION: Final = Metric(
    "lockgate_request_duration_seconds",
    "histogram",
    "From the first byte of the request to the last of the answer, for requests that were answered.",
    ("endpoint", "model", "stream"),
    _LATENCY_S,
)
TTFT: Final = Metric(
    "lockgate_time_to_first_token_seconds",
    "histogram",
    "From the first byte of the request to the first byte of a streamed answer.",
    ("endpoint", "model"),
    _LATENCY_S,
)
TPOT: Final = Metric(
    "lockgate_time_per_output_token_seconds",
    "histogram",
    "Streamed answers: time after the first byte, over output and reasoning tokens less one.",
    ("endpoint", "model"),
    _TPOT_S,
)
ATTEMPTS: Final = Metric(
    "lockgate_upstream_attempts_total",
    "counter",
    "Tries at endpoints, by why (first, retry, fallback) and how they ended.",
    ("backend", "endpoint", "reason", "code"),
)

RECORDS_OPENED: Final = Metric(
    "lockgate_records_opened_total", "counter", "Requests whose beginning is in the journal; refusals included."
)
RECORDS_CLOSED: Final = Metric(
    "lockgate_records_closed_total", "counter", "Requests whose end a worker wrote to the journal."
)
RECORDS_RECOVERED: Final = Metric(
    "lockgate_records_recovered_total", "counter", "Requests closed as crashed because their worker died."
)
RECORDS_GAP: Final = Metric(
    "lockgate_records_gap",
    "gauge",
    "Requests that were opened, have no record, and whose worker is dead: opened less closed less recovered. "
    "ALARM when it stays above 0.",
)
RECORDS_UNWRITTEN: Final = Metric(
    "lockgate_records_unwritten_total",
    "counter",
    "Ends of requests (`kind` end) and refusals (`kind` refusal) that found the disk full. ALARM.",
    ("kind",),
)
JOURNAL_DAMAGED: Final = Metric(
    "lockgate_journal_damaged_total",
    "counter",
    "Places in journals where entries may be missing, and entries that make no sense. ALARM.",
)
JOURNAL_BYTES: Final = Metric("lockgate_journal_bytes", "gauge", "Size of all journals on disk.")
JOURNAL_DROPPED: Final = Metric(
    "lockgate_journal_dropped_bytes_total", "counter", "Bytes of journal dropped to stay within the retention size."
)
JOURNAL_DROPPED_SEGMENTS: Final = Metric(
    "lockgate_journal_dropped_segments_total", "counter", "Segments dropped to stay within the retention size."
)
JOURNAL_RESERVE: Final = Metric(
    "lockgate_journal_reserve_ok",
    "gauge",
    "1 while the worker has a segment in reserve; at 0 the disk is full and new requests get 503. ALARM.",
    ("worker",),
)

CHECK_QUESTIONS: Final = Metric(
    "lockgate_check_questions_total",
    "counter",
    "What checks asked of the check process: of classifiers, the recogniser of names, an embedding model, webhooks; "
    "and for values masked in kept conversations (`masks`).",
    ("kind",),
)
CHECK_FAILURES: Final = Metric(
    "lockgate_check_failures_total",
    "counter",
    "Those without an answer: late (at the check's deadline) or unavailable (no process, no weights, no room).",
    ("kind", "reason"),
)
CHECK_SECONDS: Final = Metric(
    "lockgate_check_seconds_total", "counter", "From question to answer, of those that have one.", ("kind",)
)
CHECKS_UP: Final = Metric(
    "lockgate_checks_up", "gauge", "1 while the check process answers; 0 too where no chain asks it."
)

SPANS_EXPORTED: Final = Metric("lockgate_spans_exported_total", "counter", "Spans that `telemetry.otlp` took.")
SPANS_LOST: Final = Metric(
    "lockgate_spans_lost_total",
    "counter",
    "Spans given up because `telemetry.otlp` did not take them within a quarter of an hour. ALARM.",
)
SPANS_UP: Final = Metric(
    "lockgate_spans_exporter_up",
    "gauge",
    "1 while spans are sent and `telemetry.otlp` takes them; 0 too where it is not configured.",
)

METER_EXCHANGES: Final = Metric(
    "lockgate_meter_exchanges_total", "counter", "Calls of the store of the meters, each for many buckets, by workers."
)
METER_FAILURES: Final = Metric(
    "lockgate_meter_failures_total", "counter", "Calls of the store of the meters that failed, or took too long. ALARM."
)
METER_WAITS: Final = Metric(
    "lockgate_meter_waits_total", "counter", "Requests that waited for the store of the meters, or for other workers."
)
METER_REFUSALS: Final = Metric(
    "lockgate_meter_refusals_total", "counter", "Times that there was not enough left of a meter, anywhere."
)
METER_RECALLS: Final = Metric(
    "lockgate_meter_recalls_total", "counter", "Buckets of which other workers were asked to give back what they keep."
)
METER_WARNINGS: Final = Metric(
    "lockgate_meter_warnings_total",
    "counter",
    "Times that a share of a meter's cap was reached that its configuration warns of (`warn`).",
    ("quantity",),
)
METER_BUCKETS: Final = Metric(
    "lockgate_meter_buckets",
    "gauge",
    "Sums that the store of the meters keeps: one for each meter, subject and window. Looked over every few minutes.",
    ("level", "quantity"),
)
METER_NEARLY: Final = Metric(
    "lockgate_meter_buckets_nearly_used_up",
    "gauge",
    "Those of which 95 % of the cap or more is used.",
    ("level", "quantity"),
)
METER_UNSETTLED: Final = Metric(
    "lockgate_meter_unsettled_owners",
    "gauge",
    "Workers that are gone and whose leases were not given back yet: until then these count as spent. ALARM when it "
    "stays above 0.",
)
LEDGER_ROWS: Final = Metric("lockgate_ledger_rows", "gauge", "Requests in the ledger.")
LEDGER_BYTES: Final = Metric("lockgate_ledger_bytes", "gauge", "Size of the ledger's files on disk.")
LEDGER_FILES: Final = Metric("lockgate_ledger_files", "gauge", "How many files the ledger has.")
LEDGER_GAP: Final = Metric(
    "lockgate_ledger_gap",
    "gauge",
    "Requests that were read from journals and are not once in the ledger, and once in the records table, since the "
    "keeper started. ALARM above 0.",
)
RECORDS_ROWS: Final = Metric("lockgate_records_rows", "gauge", "Requests in the records table.")
RECORDS_BYTES: Final = Metric("lockgate_records_bytes", "gauge", "Size of its files, here and elsewhere.")
RECORDS_FILES: Final = Metric("lockgate_records_files", "gauge", "How many files it has.")
RECORDS_WAITING: Final = Metric(
    "lockgate_records_files_waiting",
    "gauge",
    "Files of records that are to be brought to stores.records.path, and are kept and read here meanwhile. "
    "ALARM when it stays above 0.",
)
AGENT_SPANS: Final = Metric("lockgate_agent_spans", "gauge", "Spans that agents sent, in their table.")
AGENT_SPANS_WAITING: Final = Metric(
    "lockgate_agent_spans_waiting_bytes",
    "gauge",
    "Size of what agents sent and is not in the table yet. ALARM when it keeps growing: at 256 MiB for each worker "
    "no more is taken.",
)
AGENT_SPANS_UNREADABLE: Final = Metric(
    "lockgate_agent_spans_unreadable",
    "gauge",
    "Requests whose spans were taken and could not be read, since the keeper started: dropped. ALARM above 0.",
)
CONTENT_KEPT: Final = Metric(
    "lockgate_content_kept_total", "counter", "Requests of which what was said was written to be kept."
)
CONTENT_NOT_KEPT: Final = Metric(
    "lockgate_content_not_kept_total",
    "counter",
    "Requests of which it was to be kept and is not: no_room (the disk, or the keeper is far behind), unmasked (a "
    "check that should have masked did not look), no_key (what locks the tenant's content is not there). ALARM.",
    ("reason",),
)
CONTENT_ROWS: Final = Metric("lockgate_content_rows", "gauge", "Requests of which what was said is in its table.")
LEDGER_DRIFT: Final = Metric(
    "lockgate_ledger_drift_usd_nanos",
    "gauge",
    "Difference between what was settled on meters of money and what the records say, in nano-dollars. ALARM above 0.",
)
LEDGER_CHECKS: Final = Metric(
    "lockgate_ledger_drift_checks_total",
    "counter",
    "Times that what a worker had told of a meter of money was compared with its records.",
)
LEDGER_AGE: Final = Metric(
    "lockgate_ledger_age_seconds",
    "gauge",
    "Time since the ledger last held everything that had been recorded. Journals are kept meanwhile. ALARM above 300.",
)

IN_FLIGHT: Final = Metric("lockgate_requests_in_flight", "gauge", "Requests being served now.", ("worker",))
STREAMS: Final = Metric("lockgate_streams_open", "gauge", "Streamed answers being relayed now.", ("worker",))
HTTP_ERRORS: Final = Metric(
    "lockgate_http_errors_total",
    "counter",
    "Connections closed for what the caller did to them: `code` is the error sent for a request that could not be "
    "read (it has no record), or stalled_reader for an answer that was not.",
    ("code",),
)
CONNECTIONS: Final = Metric("lockgate_connections_open", "gauge", "Callers' connections.", ("worker",))
LOOP_LAG: Final = Metric(
    "lockgate_loop_lag_seconds", "gauge", "The worst delay of the worker's event loop in its last second.", ("worker",)
)
WORKER_UP: Final = Metric("lockgate_worker_up", "gauge", "1 while the worker serves.", ("worker",))
WORKER_RESTARTS: Final = Metric(
    "lockgate_worker_restarts_total", "counter", "Times the worker was started again.", ("worker",)
)
WORKER_MEMORY: Final = Metric(
    "lockgate_worker_resident_bytes", "gauge", "Resident memory of the worker's process.", ("worker",)
)
WORKER_CPU: Final = Metric(
    "lockgate_worker_cpu_seconds_total", "counter", "CPU time of the slot's processes, user and system.", ("worker",)
)
OUTSTANDING: Final = Metric(
    "lockgate_endpoint_outstanding",
    "gauge",
    "Attempts that run at the endpoint now, of all workers.",
    ("backend", "endpoint"),
)
BREAKER: Final = Metric(
    "lockgate_endpoint_breaker_open",
    "gauge",
    "Share of the workers that hold the endpoint for broken and send it nothing: 0 none, 1 all.",
    ("backend", "endpoint"),
)
CONFIG_INFO: Final = Metric(
    "lockgate_config_info", "gauge", "Always 1; `digest` is the configuration being served.", ("digest",)
)
CONFIG_RELOADS: Final = Metric(
    "lockgate_config_reloads_total", "counter", "Changes of the configuration that were taken or refused.", ("result",)
)
CONFIG_OK: Final = Metric(
    "lockgate_config_last_reload_ok",
    "gauge",
    "0 when the last change of the configuration was refused and the one before is still served. ALARM.",
)
CONTROL_STORE_UP: Final = Metric(
    "lockgate_control_store_up",
    "gauge",
    "1 while the control store answers; at 0 what was made by API stays as it was last known. ALARM.",
)
CONTROL_ENTRIES: Final = Metric(
    "lockgate_control_entries", "gauge", "Tenants, projects, keys and drained endpoints that were made by API."
)
CONTROL_REFUSED: Final = Metric(
    "lockgate_control_entries_refused",
    "gauge",
    "Those of them that contradict the files or each other, and are not in force: the log says why. ALARM above 0.",
)
CONTROL_UP: Final = Metric("lockgate_control_up", "gauge", "1 while the control process runs; 0 too where it is off.")
BUILD: Final = Metric("lockgate_build_info", "gauge", "Always 1; `version` is the gateway's version.", ("version",))

ALL: Final = (
    *(REQUESTS, DURATION, TTFT, TPOT, TOKENS, REQUEST_BYTES, ANSWER_BYTES, ATTEMPTS, OUTSTANDING, BREAKER),
    *(IN_FLIGHT, STREAMS, CONNECTIONS, LOOP_LAG, WORKER_UP, WORKER_RESTARTS, WORKER_MEMORY, WORKER_CPU, HTTP_ERRORS),
    *(RECORDS_OPENED, RECORDS_CLOSED, RECORDS_RECOVERED, RECORDS_GAP, RECORDS_UNWRITTEN),
    *(RECORDS_ROWS, RECORDS_BYTES, RECORDS_FILES, RECORDS_WAITING),
    *(AGENT_SPANS, AGENT_SPANS_WAITING, AGENT_SPANS_UNREADABLE),
    *(CONTENT_KEPT, CONTENT_NOT_KEPT, CONTENT_ROWS),
    *(JOURNAL_DAMAGED, JOURNAL_BYTES, JOURNAL_DROPPED, JOURNAL_DROPPED_SEGMENTS, JOURNAL_RESERVE),
    *(CHECK_QUESTIONS, CHECK_FAILURES, CHECK_SECONDS, CHECKS_UP),
    *(SPANS_EXPORTED, SPANS_LOST, SPANS_UP),
    *(METER_EXCHANGES, METER_FAILURES, METER_WAITS, METER_REFUSALS, METER_RECALLS, METER_WARNINGS, METER_UNSETTLED),
    *(METER_BUCKETS, METER_NEARLY),
    *(LEDGER_ROWS, LEDGER_BYTES, LEDGER_FILES, LEDGER_GAP, LEDGER_AGE, LEDGER_DRIFT, LEDGER_CHECKS),
    *(CONFIG_INFO, CONFIG_RELOADS, CONFIG_OK, CONTROL_STORE_UP, CONTROL_ENTRIES, CONTROL_REFUSED, CONTROL_UP, BUILD),
)
"""In the order they are exposed and documented."""


def table() -> str:
    """The documentation's table, in Markdown; a test compares it with the documentation."""
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    for metric in ALL:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        rows.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |")
    return "\n".join(rows) + "\n"

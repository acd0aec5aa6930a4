"""The rows of the benchmark: each key of the results file, what it is, the bar it must reach, and the verdict.

Pure: no clock, no files, no processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Comparison = Literal["at most", "at least", "shown"]
Raw = Mapping[str, object]


@dataclass(frozen=True)
class Row:
    """One line of the results: `bar` is None when the number is only shown."""

    key: str
    what: str
    unit: str
    comparison: Comparison
    bar: float | None = None

    @property
    def bar_text(self) -> str:
        sign = {"at most": "≤", "at least": "≥", "shown": "shown"}[self.comparison]
        return sign if self.bar is None else f"{sign} {self.bar:g}{_spaced(self.unit)}"


@dataclass(frozen=True)
class Measured:
    """What a measurement found: a value with the raw medians behind it, or the reason there is none.

    `broken`: it could have been made, but went wrong.
    """

    value: float | None
    raw: Raw = field(default_factory=dict)
    reason: str = ""
    broken: bool = False


ROWS: tuple[Row, ...] = (
    Row("unary_cpu_x_nginx", "CPU of a unary chat request, 2 KB body, against nginx", "×", "at most", 2.0),
    Row("stream_chunk_cpu_x_nginx", "CPU of a streamed chunk, against nginx", "×", "at most", 1.4),
    Row("litellm_cpu_x_us", "LiteLLM's CPU of a unary chat request, against ours", "×", "at least", 200),
    Row("sglang_router_cpu_x_us", "sglang-router's CPU of a unary chat request, against ours", "×", "at least", 1.2),
    Row("added_p50_ms", "latency added to a direct request at concurrency 1, median", "ms", "at most", 0.15),
    Row("added_p99_ms", "the same, 99th percentile", "ms", "at most", 0.5),
    Row("body_1mb_cpu_x_nginx", "CPU of a 1 MB body with images, against nginx", "×", "at most", 2.0),
    Row("worker_idle_mb", "memory of one idle worker (RSS)", "MB", "at most", 80),
    Row("streams_5000_mb", "memory of one worker with 5,000 open streams (RSS)", "MB", "at most", 400),
    Row("keys_100k_ready_s", "ready with 100,000 keys and 10,000 models", "s", "at most", 5),
    Row("keys_100k_cpu_ratio", "CPU of a request with them, against 10 keys and 1 model", "×", "at most", 1.1),
    Row("two_workers_cpu_ratio", "CPU of a request with 2 workers, against 1", "×", "at most", 1.1),
    Row("import_ms", "`import gateway.cli`", "ms", "at most", 300),
    Row("ready_s", "`lockgate serve` to the ready line, without the embedded model", "s", "at most", 1.5),
    Row(
        "onnx_row_cpu_us",
        "CPU of a row of a classic model through `/v2 … infer`, five columns checked",
        "µs",
        "at most",
        150,
    ),
    Row("onnx_1000_rows_x_ort", "CPU of 1,000 rows in one binary call, against onnxruntime alone", "×", "at most", 1.5),
    Row("grpc_row_cpu_us", "CPU of a row over gRPC", "µs", "shown"),
    Row("meters_cpu_us", "CPU of six meters on a request", "µs", "at most", 4),
    Row("meters_calls_per_request", "calls of the meters' authority per request", "", "at most", 0.02),
    Row(
        "meters_100k_cpu_ratio",
        "CPU of a request with 100,000 tenants of three meters, against 10",
        "×",
        "at most",
        1.1,
    ),
    Row("meters_first_us", "CPU of the first request of each of these tenants", "µs", "shown"),
    Row("meter_bytes", "memory of a live meter in a worker (RSS)", "B", "at most", 1024),
    Row("chain_patterns_cpu_us", "CPU of a chain of patterns (secrets, pii) on a request of 2 KB", "µs", "shown"),
    Row("chain_full_cpu_us", "the same with injection and toxicity, the check process included", "µs", "shown"),
    Row("chain_stream_chunk_cpu_us", "CPU of a chain of patterns on a chunk of a stream", "µs", "shown"),
    Row("usage_10m_rows_s", "`lockgate usage --by tenant,model` over 10 million rows", "s", "at most", 2),
    Row(
        "records_10m_tenant_s",
        "`lockgate records list` by tenant and time, of 10 million, the slowest of five questions",
        "s",
        "at most",
        1,
    ),
    Row("records_10m_filter_s", "the same by anything else, the slowest of fourteen", "s", "at most", 5),
    Row(
        "agent_spans_per_s", "spans that agents send, taken and stored, in a second of one core", "/s", "at least", 5000
    ),
    Row(
        "keys_made_per_s",
        "keys made with `POST /admin/tenants/{tenant}/keys`, on SQLite, by one client one after the other",
        "/s",
        "at least",
        200,
    ),
    Row("key_made_p99_ms", "the answer to one of these requests, 99th percentile", "ms", "at most", 20),
    Row("changes_100k_verify_s", "verifying a change log of 100,000 changes", "s", "at most", 2),
    Row("messages_translate_us_per_chunk", "a chunk of a chat stream made an Anthropic event", "µs", "at most", 10),
    Row("prefix_hit_rate_gain", "prefix-cache hit rate of 4 replicas, less that of round robin", "", "shown"),
)
KEYS = tuple(row.key for row in ROWS)


def judge(row: Row, measured: Measured) -> str:
    """'pass', 'fail' (also: went wrong), 'shown' (no bar) or 'skipped' (no value).

    The rounded value is judged, since that is the one a reader sees beside the bar.
    """
    if measured.value is None:
        return "fail" if measured.broken else "skipped"
    value = rounded(measured.value)
    if row.bar is None:
        return "shown"
    reached = value <= row.bar if row.comparison == "at most" else value >= row.bar
    return "pass" if reached else "fail"


def rounded(value: float) -> float:
    """Three significant figures, and never fewer than the digits before the point."""
    return round(value) * 1.0 if abs(value) >= 1000 else float(f"{value:.3g}")


def _spaced(unit: str) -> str:
    return "" if not unit else unit if unit == "×" else f" {unit}"

"""The measurements, by what they need running. `PARTS` is the order in which a full run does them.

Each takes the Lab and returns what it found by key of rows.py; a BenchError says why there is nothing to find.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.bench.lab import Lab
from tests.bench.measures import (
    agents,
    checks,
    classic,
    control,
    cpu,
    formats,
    latency,
    ledger,
    memory,
    meters,
    peers,
    prefix,
    records,
    scale,
    startup,
)
from tests.bench.rows import Measured

Measurement = Callable[[Lab], Mapping[str, Measured]]


@dataclass(frozen=True)
class Part:
    """Rows that are measured together, because their ratios need one run or one set of servers."""

    keys: tuple[str, ...]
    measure: Measurement


PARTS: tuple[Part, ...] = (
    Part(("import_ms",), startup.measure_import),
    Part(("ready_s",), startup.measure_ready),
    Part(("unary_cpu_x_nginx",), cpu.measure_unary),
    Part(("stream_chunk_cpu_x_nginx",), cpu.measure_stream),
    Part(("body_1mb_cpu_x_nginx",), cpu.measure_images),
    Part(("added_p50_ms", "added_p99_ms"), latency.measure),
    Part(("worker_idle_mb", "streams_5000_mb"), memory.measure),
    Part(("keys_100k_ready_s", "keys_100k_cpu_ratio"), scale.measure_keys),
    Part(("two_workers_cpu_ratio",), scale.measure_workers),
    Part(("onnx_row_cpu_us", "onnx_1000_rows_x_ort"), classic.measure_http),
    Part(("grpc_row_cpu_us",), classic.measure_grpc),
    Part(("meters_cpu_us", "meters_calls_per_request"), meters.measure_cpu),
    Part(("meters_100k_cpu_ratio", "meters_first_us", "meter_bytes"), meters.measure_many),
    Part(("chain_patterns_cpu_us", "chain_full_cpu_us"), checks.measure),
    Part(("chain_stream_chunk_cpu_us",), checks.measure_streams),
    Part(("usage_10m_rows_s",), ledger.measure),
    Part(("records_10m_tenant_s", "records_10m_filter_s"), records.measure),
    Part(("agent_spans_per_s",), agents.measure),
    Part(("keys_made_per_s", "key_made_p99_ms"), control.measure_keys),
    Part(("changes_100k_verify_s",), control.measure_verify),
    Part(("messages_translate_us_per_chunk",), formats.measure_messages),
    Part(("prefix_hit_rate_gain",), prefix.measure),
    Part(("litellm_cpu_x_us",), peers.measure_litellm),
    Part(("sglang_router_cpu_x_us",), peers.measure_sglang_router),
)

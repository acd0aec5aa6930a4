"""How long a question about ten million records takes: `lockgate records list`, from its start to its end."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from tests.bench.lab import Lab
from tests.bench.lockgate import ROOT
from tests.bench.processes import BenchError
from tests.bench.rows import Measured
from tests.bench.stats import spread

DAYS = 10
ROWS_A_DAY = 1_000_000
FIRST_DAY_MS = 1_793_491_200_000
"""2026-11-01."""
TIMES = 3

VALUES = {
    "id": "'req_' || printf('%012x', began_ms) || printf('%018x', n)",
    "started": "make_timestamp(began_ms * 1000)",
    "started_ns": "began_ms * 1000000",
    "tenant": "'tenant-' || (hash(n) % 200)",
    "key": "'key-' || (hash(n + 1) % 5)",
    "end_user": "'u-' || (hash(n + 2) % 50000)",
    "model": "'model-' || (hash(n + 3) % 12)",
    "trace": "printf('%032x', hash(n + 4)::HUGEINT)",
    "traceparent": "'00-' || printf('%032x', hash(n + 4)::HUGEINT) || '-b7ad6b7169203331-01'",
    "conversation": "'c-' || (hash(n + 5) % 300000)",
    "stream": "hash(n + 6) % 2 = 0",
    "endpoint": "'chat'",
    "backend": "'gpu-' || (hash(n + 9) % 4)",
    "served_model": "'qwen3-8b'",
    "status": "CASE WHEN hash(n + 21) % 100 < 3 THEN 429 ELSE 200 END",
    "code": "CASE WHEN hash(n + 21) % 100 < 3 THEN 'rate_limit_exceeded' ELSE 'ok' END",
    "outcome": "CASE WHEN hash(n + 21) % 100 < 3 THEN 'refused' ELSE 'answered' END",
    "first_byte_ms": "(hash(n + 31) % 900000) / 1000.0",
    "total_ms": "(hash(n + 11) % 9000000) / 1000.0",
    "body_bytes": "hash(n + 12) % 20000",
    "answer_bytes": "hash(n + 13) % 9000",
    "input_tokens": "hash(n + 7) % 4000",
    "cached_input_tokens": "hash(n + 8) % 1000",
    "output_tokens": "hash(n + 14) % 800",
    "charge_usd_nanos": "hash(n + 10) % 1000000",
    "held_input_tokens": "hash(n + 7) % 4000 + 10",
    "held_output_tokens": "1024",
    "held_usd_nanos": "hash(n + 10) % 1000000 + 500",
    "usage_from": "'backend'",
    "snapshot": "repeat('d', 64)",
    "verdicts": "CASE WHEN hash(n + 41) % 20 = 0 THEN 'input:pii:EMAIL_ADDRESS:mask:1.00:2' "
    "WHEN hash(n + 41) % 1000 = 1 THEN 'output:words:secret:block:0.90:1' ELSE '' END",
    "attempts": "[{'backend': 'gpu-' || (hash(n + 9) % 4), 'endpoint': 'http://gpu-' || (hash(n + 51) % 8), "
    "'reason': 'first', 'choice': 'least_outstanding', 'loads': [hash(n + 52) % 9, hash(n + 53) % 9], "
    "'status': 200, 'code': 'ok', 'sent_ms': 0.2, 'first_byte_ms': (hash(n + 31) % 900000) / 1000.0, "
    "'ended_ms': (hash(n + 11) % 9000000) / 1000.0}]",
    "readings": "CASE WHEN hash(n + 61) % 5 = 0 THEN [{'meter': 'tenant:tenant-' || (hash(n) % 200), "
    "'used': hash(n + 62) % 100000000, 'cap': 500000000000}] ELSE [] END",
}
"""SQL, of the number `n` of a record and the millisecond in which it began."""

TENANT = ("--tenant", "tenant-7")
SLICES: Mapping[str, Sequence[str]] = {
    "a day": ("--since", "2026-11-04", "--until", "2026-11-05"),
    "ten days, the newest": (),
    "with an error": ("--status", "429"),
    "with none": ("--end-user", "nobody"),
    "1,000 of them": ("--since", "2026-11-04", "--limit", "1000"),
}
"""Questions about a tenant and a time."""
FILTERS: Mapping[str, Sequence[str]] = {
    "the newest": (),
    "key": ("--key", "key-3"),
    "model, none": ("--model", "other"),
    "status": ("--status", "429"),
    "code": ("--code", "rate_limit_exceeded"),
    "verdict": ("--verdict", "block"),
    "verdict, none": ("--verdict", "injection"),
    "cost, none": ("--min-cost", "1"),
    "latency": ("--min-ms", "8999.99"),
    "latency, none": ("--min-ms", "10000"),
    "conversation": ("--conversation", "c-777", "--limit", "1000"),
    "end user": ("--end-user", "u-77", "--limit", "1000"),
    "trace, none": ("--trace", "0" * 31 + "1"),
}
"""Others: those with few or no answers read every file."""


def measure(lab: Lab) -> Mapping[str, Measured]:
    """The slowest question of either kind, each asked several times."""
    state = lab.path("records")
    began = time.perf_counter()
    size = _fill(state)
    raw = {"rows": DAYS * ROWS_A_DAY, "files_mb": round(size / 1e6), "filled_s": round(time.perf_counter() - began)}
    slices = {what: _took(state, "list", *TENANT, *flags) for what, flags in SLICES.items()}
    others = {what: _took(state, "list", *flags) for what, flags in FILTERS.items()}
    others["id"] = _took(state, "show", f"req_{FIRST_DAY_MS + 5 * 86_400_000:012x}{5 * ROWS_A_DAY:018x}")
    return {
        "records_10m_tenant_s": Measured(max(map(median, slices.values())), _raw(slices) | raw),
        "records_10m_filter_s": Measured(max(map(median, others.values())), _raw(others) | raw),
    }


def _raw(took: Mapping[str, Sequence[float]]) -> dict[str, object]:
    return {f"{what}_s": spread(times) for what, times in took.items()}


def _took(state: Path, verb: str, *flags: str) -> list[float]:
    command: list[str | Path] = [sys.executable, "-m", "gateway", "records", verb, *flags, "--state-dir", state]
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        took.append(time.perf_counter() - began)
        if done.returncode:
            raise BenchError(f"lockgate records: {(done.stderr or done.stdout).strip()[-200:]}")
    return took


def _fill(state: Path) -> int:
    """Writes a table as the keeper would leave it, a merged file for each day; its bytes."""
    from gateway.store import manifest, record_rows
    from gateway.store.duck import connection
    from gateway.store.ledger_rows import text

    (state / "journal").mkdir(parents=True)
    manifest.folder(state).mkdir()
    options = f"FORMAT parquet, COMPRESSION zstd{record_rows.OPTIONS}"
    files = []
    for day in range(DAYS):
        name = f"class=400/day=2026-11-{day + 1:02d}/{day + 1:06d}-00000000.parquet"
        path = manifest.records_folder(state) / name
        path.parent.mkdir(parents=True)
        began_ms = f"{FIRST_DAY_MS + day * 86_400_000} + range * 86400000 // {ROWS_A_DAY}"
        numbers = f"SELECT range + {day * ROWS_A_DAY} AS n, {began_ms} AS began_ms FROM range({ROWS_A_DAY})"
        columns = ", ".join(f'{VALUES[one.name]} AS "{one.name}"' for one in record_rows.COLUMNS if one.name in VALUES)
        rows = f"{record_rows.nothing()} UNION ALL BY NAME SELECT {columns} FROM ({numbers})"
        with connection(path.parent) as database:
            database.execute(f"COPY ({rows} {record_rows.SORTED}) TO {text(str(path))} ({options})")
        files.append(manifest.RecordFile(name, ROWS_A_DAY, path.stat().st_size, 0))
    manifest.publish(state, manifest.Manifest(next_number=DAYS + 1, records=files))
    return sum(file.bytes for file in files)

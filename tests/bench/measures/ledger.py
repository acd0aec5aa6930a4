"""How long the sums over a large ledger take: `lockgate usage --by tenant,model` over ten million rows."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from tests.bench.lab import Lab
from tests.bench.lockgate import ROOT
from tests.bench.processes import BenchError
from tests.bench.rows import Measured
from tests.bench.stats import spread

DAYS = 10
ROWS_A_DAY = 1_000_000
TENANTS, MODELS = 200, 12
TIMES = 5

VALUES = {
    "id": "'req_' || printf('%030x', n)",
    "tenant": f"'tenant-' || (hash(n) % {TENANTS})::VARCHAR",
    "key": "'key-' || (hash(n + 1) % 5)::VARCHAR",
    "end_user": "'u-' || (hash(n + 2) % 50000)::VARCHAR",
    "model": f"'model-' || (hash(n + 3) % {MODELS})::VARCHAR",
    "served_model": "'qwen3-8b'",
    "backend": "'gpu'",
    "endpoint": "'chat'",
    "trace": "printf('%032x', hash(n + 4)::HUGEINT)",
    "conversation": "'c-' || (hash(n + 5) % 300000)::VARCHAR",
    "outcome": "'answered'",
    "code": "'ok'",
    "stream": "hash(n + 6) % 2 = 0",
    "input_tokens": "hash(n + 7) % 4000",
    "cached_input_tokens": "hash(n + 8) % 1000",
    "output_tokens": "hash(n + 9) % 800",
    "reasoning_tokens": "0",
    "charge_nanos": "hash(n + 10) % 1000000",
    "usage_from": "'backend'",
    "total_ms": "hash(n + 11) % 9000",
    "attempts": "1",
}


def measure(lab: Lab) -> Mapping[str, Measured]:
    """The whole command, from its start to its end, as a user runs it, several times over."""
    state = lab.path("ledger")
    began = time.perf_counter()
    size = _fill(state)
    filled_s = time.perf_counter() - began
    asked = ["--by", "tenant,model", "--since", "2026-01-01", "--format", "csv"]
    command: list[str | Path] = [sys.executable, "-m", "gateway", "usage", "--state-dir", state, *asked]
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        took.append(time.perf_counter() - began)
        if done.returncode or len(done.stdout.splitlines()) != TENANTS * MODELS + 1:
            raise BenchError(f"lockgate usage: {(done.stderr or done.stdout).strip()[-200:]}")
    raw = {
        "usage_s": spread(took),
        "rows": DAYS * ROWS_A_DAY,
        "files_mb": round(size / 1e6),
        "filled_s": round(filled_s),
    }
    return {"usage_10m_rows_s": Measured(median(took), raw)}


def _fill(state: Path) -> int:
    """Writes a ledger as the keeper would leave it; its bytes."""
    from gateway.store import ledger_rows, manifest
    from gateway.store.duck import connection

    ledger = manifest.folder(state)
    (state / "journal").mkdir(parents=True)
    files = []
    for day in range(DAYS):
        name = f"2026-11-{day + 1:02d}/{day + 1:06d}.parquet"
        path = ledger / name
        path.parent.mkdir(parents=True)
        start = f"TIMESTAMP '2026-11-{day + 1:02d}' + INTERVAL (n % 86400) SECOND"
        columns = ", ".join(
            f"({start if column.name == 'started' else VALUES.get(column.name, column.default)})::{column.kind}"
            f' AS "{column.name}"'
            for column in ledger_rows.COLUMNS
        )
        rows = f"SELECT {columns} FROM range({day * ROWS_A_DAY}, {(day + 1) * ROWS_A_DAY}) numbers(n)"
        with connection(ledger) as database:
            database.execute(f"COPY ({rows}) TO {ledger_rows.text(str(path))} (FORMAT parquet, COMPRESSION zstd)")
        files.append(manifest.LedgerFile(name, ROWS_A_DAY, path.stat().st_size))
    manifest.publish(state, manifest.Manifest(next_number=DAYS + 1, files=files))
    return sum(file.bytes for file in files)

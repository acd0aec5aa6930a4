"""The results file: where, when and with what the numbers were taken, and what they are."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import lockgate, nginx, peers
from tests.bench.processes import LOAD_CORE, SERVER_CORE, Missing
from tests.bench.rows import ROWS, Measured, judge, rounded

ROOT = Path(__file__).parents[2]
LATEST = Path(__file__).parent / "results" / "latest.json"
PACKAGES = ("uvicorn", "uvloop", "httptools", "msgspec")


def compose(found: Mapping[str, Measured], surroundings: Mapping[str, object]) -> dict[str, object]:
    """`surroundings`, then each key with its plain value (null when skipped), then `rows` with everything about it."""
    values: dict[str, object] = {}
    rows: dict[str, object] = {}
    for row in ROWS:
        measured = found.get(row.key, Measured(None, reason="not asked for in this run"))
        value = None if measured.value is None else rounded(measured.value)
        status = judge(row, measured)
        values[row.key] = value
        entry: dict[str, object] = {"what": row.what, "value": value, "unit": row.unit, "bar": row.bar_text}
        entry["status"] = status
        if measured.reason:
            entry["reason"] = measured.reason
        if measured.raw:
            entry["raw"] = dict(measured.raw)
        rows[row.key] = entry
    return {**surroundings, **values, "rows": rows}


def surroundings(*, quick: bool) -> dict[str, object]:
    """Machine, commit, versions, date, method; taken before anything is measured."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": quick,
        "commit": _commit(),
        "machine": _machine(),
        "versions": _versions(),
        "lockgate": lockgate.SUMMARY,
        "nginx": nginx.SUMMARY,
        "method": "CPU is what the scheduler counted for the server's whole process tree (supervisor and workers), "
        f"divided by requests or content chunks; server on core {SERVER_CORE}, upstream and load on core {LOAD_CORE}; "
        "candidates alternate; medians, and ratios of medians, from one run; 2,048-byte chat body, 692-byte answer, "
        "concurrency 16 unless said otherwise",
    }


def _commit() -> dict[str, object]:
    head = _output("git", "rev-parse", "HEAD")
    changed = _output("git", "status", "--porcelain", "--", ".", ":!tests/bench/results")
    return {"id": head or "unknown", "dirty": bool(changed)}


def _machine() -> dict[str, object]:
    model = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(memory_bytes / 1e9, 1),
        "kernel": platform.release(),
        "load_average_at_start": round(os.getloadavg()[0], 2),
    }


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    try:
        found["nginx"] = nginx.version()
    except Missing:
        found["nginx"] = "not installed"
    for peer in (peers.LITELLM, peers.SGLANG_ROUTER):
        found[peer.name] = peer.version() or "not installed"
    found["cc"] = (_output("cc", "--version").splitlines() or ["not installed"])[0]
    return found


def _output(*command: str) -> str:
    if not shutil.which(command[0]):
        return ""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()

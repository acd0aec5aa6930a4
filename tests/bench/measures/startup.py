"""How long it takes to be there: the import of the command line, and `serve` to its ready line. On any core."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from statistics import median

from tests.bench import lockgate
from tests.bench.lab import Lab
from tests.bench.lockgate import ROOT, Size
from tests.bench.processes import BenchError
from tests.bench.rows import Measured
from tests.bench.stats import spread

TIMED_IMPORT = "from time import perf_counter as t; b = t(); import gateway.cli; print(1000 * (t() - b))"


def measure_import(lab: Lab) -> Mapping[str, Measured]:
    """Timed inside a fresh interpreter; one start beforehand writes the bytecode."""
    times = []
    for number in range(lab.effort.starts + 1):
        command = [sys.executable, "-c", TIMED_IMPORT]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"import gateway.cli failed: {done.stderr.strip()[-200:]}")
        if number:
            times.append(float(done.stdout))
    return {"import_ms": Measured(median(times), {"import_ms": spread(times)})}


def measure_ready(lab: Lab) -> Mapping[str, Measured]:
    """From the start of the process to `ready …` on its stdout; a fresh state folder each time."""
    config = lockgate.write_config(lab, Size())
    times = []
    for number in range(lab.effort.starts + 1):
        with lockgate.serving(lab, config, core=None) as started:
            if number:
                times.append(started.ready_s)
    return {"ready_s": Measured(median(times), {"ready_s": spread(times)})}

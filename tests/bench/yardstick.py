"""How fast the server's core is just now: shared machines change by a factor of two within seconds, and the figures in
µs with them. Each row tells, under `raw`, what the same small work took before and after it.
"""

from __future__ import annotations

import json
import os
import time
from statistics import median

from tests.bench import bodies
from tests.bench.processes import SERVER_CORE

ROUNDS = 7
RUNS = 1_000


def json_loads_us() -> float:
    """CPU µs of `json.loads` on the chat body of 2,048 bytes, on the server's core: the median of a few rounds."""
    body = bodies.chat_body()
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        return round(median(_round(body) for _ in range(ROUNDS)), 2)
    finally:
        os.sched_setaffinity(0, allowed)


def _round(body: bytes) -> float:
    begun_ns = time.process_time_ns()
    for _ in range(RUNS):
        json.loads(body)
    return (time.process_time_ns() - begun_ns) / 1e3 / RUNS

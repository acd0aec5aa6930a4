"""Memory of one worker: idle, and with thousands of open streams.

The headline is RSS, the larger and simpler figure: it counts the interpreter's shared pages in full. PSS is beside it.
"""

from __future__ import annotations

import json
import resource
import select
import subprocess
from collections.abc import Mapping

from tests.bench import bodies, lockgate
from tests.bench.lab import Lab, Load, pin_to_load_core
from tests.bench.lockgate import Size, Started
from tests.bench.processes import BenchError, Missing, memory_mb, settle, tree
from tests.bench.rows import Measured

OPEN_LIMIT_S = 120
CHUNK_US = 1_000_000


def measure(lab: Lab) -> Mapping[str, Measured]:
    with lockgate.serving(lab, lockgate.write_config(lab, Size())) as gateway:
        settle(gateway.target.pid)
        idle = _sizes(gateway)
        found = {"worker_idle_mb": Measured(idle["worker"]["rss"], idle)}
        try:
            found["streams_5000_mb"] = _with_open_streams(lab, gateway)
        except BenchError as problem:
            broken = not isinstance(problem, Missing)
            found["streams_5000_mb"] = Measured(None, reason=str(problem), broken=broken)
    return found


def _sizes(gateway: Started) -> dict[str, dict[str, float]]:
    worker = gateway.workers[0]
    others = [pid for pid in tree(gateway.target.pid) if pid != worker]
    return {"worker": memory_mb(worker)} | {f"other_{n}": memory_mb(pid) for n, pid in enumerate(others)}


def _with_open_streams(lab: Lab, gateway: Started) -> Measured:
    """Every stream has had its first content frame and gets one more each second while memory is read."""
    wanted = lab.effort.open_streams
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files < 2 * wanted + 500:
        raise Missing(f"{wanted} streams need {2 * wanted + 500} open files in the worker, the limit is {files}")
    lab.set_upstream(chunk_us=CHUNK_US, chunks=1_000_000)
    load = Load(
        bodies.chat_body(gateway.target.model, stream=True), wanted, wanted, 1_000_000, max_seconds=OPEN_LIMIT_S
    )
    command = [*lab.command(gateway.target, load), "--hold"]
    holder = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=pin_to_load_core
    )
    with holder:
        assert holder.stdin
        assert holder.stdout
        ready, _, _ = select.select([holder.stdout], [], [], OPEN_LIMIT_S + 30)
        line = holder.stdout.readline() if ready else ""
        if not line:
            holder.kill()
            raise BenchError(f"{wanted} streams did not open in {OPEN_LIMIT_S} s")
        state = json.loads(line)
        sizes = _sizes(gateway)
        holder.stdin.close()
    if state["open_streams"] < wanted or state["errors"]:
        opened = f"{state['open_streams']} of {wanted} streams opened"
        raise BenchError(f"{opened}, {state['errors']} errors: {state['first_error']}")
    first = {name: round(state[f"first_{name}_us"] / 1000, 1) for name in ("p50", "p99")}
    return Measured(sizes["worker"]["rss"], {**sizes, "streams": wanted, "first_frame_ms": first})

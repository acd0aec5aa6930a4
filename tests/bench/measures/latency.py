"""Latency that the gateway adds to a direct request, one request at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from statistics import median

from tests.bench import bodies, lockgate, nginx
from tests.bench.lab import Lab, Load
from tests.bench.lockgate import Size
from tests.bench.processes import Missing
from tests.bench.rows import Measured
from tests.bench.stats import spread

PERCENTILES = ("p50", "p99")


def measure(lab: Lab) -> Mapping[str, Measured]:
    """Paired: in each round direct, gateway (and nginx to compare with) right after one another.

    The value is the median over the rounds of (gateway's percentile - direct's percentile).
    """
    lab.set_upstream()
    with contextlib.ExitStack() as stack:
        targets = [lab.direct()]
        with contextlib.suppress(Missing):
            targets.append(stack.enter_context(nginx.serving(lab)))
        targets.append(stack.enter_context(lockgate.serving(lab, lockgate.write_config(lab, Size()))).target)
        rounds: dict[str, list[dict[str, float]]] = {target.name: [] for target in targets}
        for _ in range(lab.effort.rounds):
            for target in targets:
                load = Load(bodies.chat_body(target.model), lab.effort.latency_requests, 1, warmup=500)
                rounds[target.name].append(lab.send(target, load))
    found = {}
    for percentile in PERCENTILES:
        key = f"latency_{percentile}_us"
        raw: dict[str, object] = {
            f"{name}_ms": spread([result[key] / 1000 for result in results]) for name, results in rounds.items()
        }
        added = [
            (ours[key] - direct[key]) / 1000 for ours, direct in zip(rounds["lockgate"], rounds["direct"], strict=True)
        ]
        found[f"added_{percentile}_ms"] = Measured(median(added), {**raw, "added_ms": spread(added)})
    return found

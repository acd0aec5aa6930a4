"""What many keys and models, and a second worker, do to the CPU of a request."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from statistics import median

from tests.bench import bodies, lockgate
from tests.bench.lab import Lab, Load
from tests.bench.lockgate import Config, Size
from tests.bench.processes import memory_mb
from tests.bench.rows import Measured
from tests.bench.stats import ratio_of_medians, spread

MANY = Size(tenants=100, keys_per_tenant=1_000, models=10_000)
READY_STARTS = 3
CONNECTIONS_PER_WORKER = 16


def measure_keys(lab: Lab) -> Mapping[str, Measured]:
    """Ready time on any core, as a user starts it; CPU with both gateways up, alternating.

    Successive requests use successive keys and models in random order, so that no cache of recent ones helps.
    """
    lab.set_upstream()
    few, many = lockgate.write_config(lab, Size()), lockgate.write_config(lab, MANY)
    ready = []
    for _ in range(READY_STARTS):
        with lockgate.serving(lab, many, core=None) as started:
            ready.append(started.ready_s)
    with contextlib.ExitStack() as stack:
        gateways = {
            name: stack.enter_context(lockgate.serving(lab, config))
            for name, config in (("keys_10", few), ("keys_100k", many))
        }
        loads = {
            "keys_10": (gateways["keys_10"].target, _varied(lab, few)),
            "keys_100k": (gateways["keys_100k"].target, _varied(lab, many)),
        }
        found = lab.cpu_rounds(loads, lab.effort.rounds)
        worker = memory_mb(gateways["keys_100k"].workers[0])
    raw: dict[str, object] = {f"{name}_us_per_request": spread(rounds) for name, rounds in found.items()}
    return {
        "keys_100k_ready_s": Measured(median(ready), {"ready_s": spread(ready), "worker_mb": worker}),
        "keys_100k_cpu_ratio": Measured(ratio_of_medians(found["keys_100k"], found["keys_10"]), raw),
    }


def measure_workers(lab: Lab) -> Mapping[str, Measured]:
    """Both workers on the server's core, 16 connections for each worker: the second one must not cost the first."""
    lab.set_upstream()
    with contextlib.ExitStack() as stack:
        loads = {}
        for workers in (1, 2):
            config = lockgate.write_config(lab, Size())  # one for each: it holds the ops port
            gateway = stack.enter_context(lockgate.serving(lab, config, workers=workers))
            body = bodies.chat_body(gateway.target.model)
            load = Load(body, lab.effort.unary_requests, CONNECTIONS_PER_WORKER * workers)
            loads[f"workers_{workers}"] = (gateway.target, load)
        found = lab.cpu_rounds(loads, lab.effort.rounds)
    raw: dict[str, object] = {f"{name}_us_per_request": spread(rounds) for name, rounds in found.items()}
    return {"two_workers_cpu_ratio": Measured(ratio_of_medians(found["workers_2"], found["workers_1"]), raw)}


def _varied(lab: Lab, config: Config) -> Load:
    body = bodies.chat_body(config.first_model)
    return Load(body, lab.effort.unary_requests, values=[config.keys, config.models])

"""What meters cost: CPU of a request, calls of the authority, many tenants, memory, and sums over a large ledger."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from statistics import median
from typing import Any

from tests.bench import bodies, lockgate
from tests.bench.lab import Lab, Load
from tests.bench.lockgate import ROOT, Size, Started
from tests.bench.processes import BenchError
from tests.bench.rows import Measured
from tests.bench.stats import ratio_of_medians, spread

EXCHANGES = "lockgate_meter_exchanges_total"
FAR = 10**15
"""A cap that no load comes near."""
SIX: Mapping[str, list[dict[str, Any]]] = {
    "gateway": [{"cap": "$100000", "window": "month"}, {"cap": "10000 concurrent"}],
    "tenant": [{"cap": "$50000", "window": "month"}, {"cap": f"{FAR} output_tokens", "window": "day"}],
    "key": [{"cap": f"{FAR} requests", "window": "60s"}, {"cap": f"{FAR} input_tokens", "window": "day"}],
}
THREE: Mapping[str, list[dict[str, Any]]] = {
    "tenant": [
        {"cap": "$50000", "window": "month"},
        {"cap": f"{FAR} requests", "window": "60s"},
        {"cap": "10000 concurrent"},
    ]
}
FEW, MANY = Size(tenants=10, keys_per_tenant=1), Size(tenants=100_000, keys_per_tenant=1)
WARM_LIMIT_S = 600
BUCKETS = 300_000

MEMORY = """
import gc, json, os, sys
from gateway.config.snapshot_meters import MONEY, Meter, Window
from gateway.policy.leases import Leases
from gateway.policy import authority, reports
def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
count = int(sys.argv[1])
meter = Meter("tenant", MONEY, 10**12, 10**12, Window("lifetime"), (), "", "usd|lifetime")
leases = Leases()
gc.collect()
before = rss()
for number in range(count):
    bucket = leases.bucket(meter, f"tenant:tenant-{number:06d}|usd|lifetime|")
    report = reports.build(leases, bucket, (1, 0), 0.0, 10**9, 10**9)
    reports.learn(leases, bucket, report, authority.exchange(authority.BucketState(), "s:0", report, 1), 0.0)
    hold = leases.hold(leases.bundle([bucket]), (1, 100, 100, 1, 1000))
    leases.settle(hold, (1, 100, 50, 1, 500))
gc.collect()
print(json.dumps((rss() - before) / count))
"""


def measure_cpu(lab: Lab) -> Mapping[str, Measured]:
    """A gateway with six meters on a request against one with none, paired: the median of the rounds' differences."""
    lab.set_upstream()
    with contextlib.ExitStack() as stack:
        gateways = {
            "none": stack.enter_context(lockgate.serving(lab, lockgate.write_config(lab, Size()))),
            "six": stack.enter_context(lockgate.serving(lab, lockgate.write_config(lab, Size(), meters=SIX))),
        }
        load = Load(bodies.chat_body(gateways["six"].target.model), lab.effort.unary_requests)
        before = _calls(gateways["six"])
        found = lab.cpu_rounds({name: (gateway.target, load) for name, gateway in gateways.items()}, lab.effort.rounds)
        calls = _calls(gateways["six"]) - before
    differences = [six - none for six, none in zip(found["six"], found["none"], strict=True)]
    raw: dict[str, object] = {f"{name}_us_per_request": spread(rounds) for name, rounds in found.items()}
    raw["difference_us"] = spread(differences)
    requests = load.requests * lab.effort.rounds + max(load.connections, load.requests // 5)  # with the warm-up
    return {
        "meters_cpu_us": Measured(median(differences), raw),
        "meters_calls_per_request": Measured(calls / requests, {"calls": calls, "requests": requests}),
    }


def measure_many(lab: Lab) -> Mapping[str, Measured]:
    """Three meters for each of 100,000 tenants against 10, successive requests from tenants in random order, each of
    which has asked before; the first requests of all apart; memory of a live meter in a process of its own."""
    lab.set_upstream()
    with contextlib.ExitStack() as stack:
        loads, first = {}, {}
        for name, size in {"tenants_10": FEW, "tenants_100k": MANY}.items():
            config = lockgate.write_config(lab, size, meters=THREE)
            gateway = stack.enter_context(lockgate.serving(lab, config))
            body = bodies.chat_body(config.first_model)
            load = Load(body, lab.effort.unary_requests, values=[config.keys, config.models])
            loads[name] = (gateway.target, load)
            warm = replace(load, requests=size.tenants, max_seconds=WARM_LIMIT_S)
            first[name] = lab.cpu_per_unit(gateway.target, warm)
        found = lab.cpu_rounds(loads, lab.effort.rounds)
    raw: dict[str, object] = {f"{name}_us_per_request": spread(rounds) for name, rounds in found.items()}
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(BUCKETS)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"meters in memory: {done.stderr.strip()[-200:]}")
    return {
        "meters_100k_cpu_ratio": Measured(ratio_of_medians(found["tenants_100k"], found["tenants_10"]), raw),
        "meters_first_us": Measured(first["tenants_100k"], {"requests": MANY.tenants}),
        "meter_bytes": Measured(float(json.loads(done.stdout)), {"meters": BUCKETS}),
    }


def _calls(gateway: Started) -> int:
    """How often its workers have called the authority so far."""
    state = gateway.state_dir
    ops = json.loads((state / "run" / "gateway.json").read_bytes())["ops"]
    with urllib.request.urlopen(f"{ops}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    found = [line for line in lines if line.startswith(EXCHANGES)]
    if not found:
        raise BenchError(f"no {EXCHANGES} among the metrics")
    return round(sum(float(line.rpartition(" ")[2]) for line in found))

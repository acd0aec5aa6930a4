"""What a classic model costs through the gateway: a row, a thousand rows, a row over gRPC."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from statistics import median

from tests.bench import lockgate
from tests.bench.lab import Lab, Load, pin_to_load_core
from tests.bench.lockgate import CLASSIC, ROOT, Size
from tests.bench.processes import SERVER_CORE, BenchError, Missing, cpu_ns, free_port, settle, tree
from tests.bench.rows import Measured
from tests.bench.stats import ratio_of_medians, spread

MANY_ROWS = 1_000
GRPC_CALLERS = 16


def measure_http(lab: Lab) -> Mapping[str, Measured]:
    """One row in binary (the JSON figure is under raw); 1,000 rows in one call, against a process with onnxruntime
    alone on the same core, in turn.
    """
    _need("numpy", "onnxruntime")
    from tests.bench import classic_rows

    config = lockgate.write_config(lab, Size(), classic=classic_rows.FOLDER)
    with lockgate.serving(lab, config) as gateway:
        path = f"/v2/models/{CLASSIC}/infer"
        requests = lab.effort.unary_requests
        row, header = classic_rows.binary_body(1)
        binary = Load(row, requests, path=path, headers=(_length(header),), expect='"left"')
        plain = Load(classic_rows.json_body(1), requests, path=path, expect='"left"')
        rows, header = classic_rows.binary_body(MANY_ROWS)
        many = replace(
            binary, body=rows, requests=lab.effort.images_requests, connections=1, headers=(_length(header),)
        )
        loads = {name: (gateway.target, load) for name, load in (("binary", binary), ("json", plain), ("many", many))}
        found: dict[str, list[float]] = {name: [] for name in (*loads, "alone_row", "alone")}
        for _ in range(lab.effort.rounds):
            for name, times in lab.cpu_rounds(loads, 1).items():
                found[name] += times
            found["alone"].append(_alone(MANY_ROWS, lab.effort.images_requests))
            found["alone_row"].append(_alone(1, requests))
    spreads = {name: spread(times) for name, times in found.items()}
    return {
        "onnx_row_cpu_us": Measured(
            median(found["binary"]),
            {
                "us_per_row": spreads["binary"],
                "json_us_per_row": spreads["json"],
                "ort_us_per_row": spreads["alone_row"],
            },
        ),
        "onnx_1000_rows_x_ort": Measured(
            ratio_of_medians(found["many"], found["alone"]),
            {"us_per_call": spreads["many"], "ort_us_per_call": spreads["alone"]},
        ),
    }


def measure_grpc(lab: Lab) -> Mapping[str, Measured]:
    """One row a call, from tritonclient on the load's core."""
    _need("numpy", "onnxruntime", "grpc", "tritonclient")
    from tests.bench import classic_rows

    port = free_port()
    config = lockgate.write_config(lab, Size(), classic=classic_rows.FOLDER, grpc=port)
    requests = lab.effort.latency_requests
    with lockgate.serving(lab, config) as gateway:
        rounds = []
        for number in range(lab.effort.rounds + 1):
            settle(gateway.target.pid)
            before = cpu_ns(tree(gateway.target.pid))
            _run("tests.bench.grpc_load", str(port), config.first_key, str(requests), str(GRPC_CALLERS))
            settle(gateway.target.pid)
            if number:  # the first one warms up
                rounds.append((cpu_ns(tree(gateway.target.pid)) - before) / 1e3 / requests)
    return {"grpc_row_cpu_us": Measured(median(rounds), {"us_per_row": spread(rounds)})}


def _length(header: int) -> str:
    return f"Inference-Header-Content-Length: {header}"


def _alone(rows: int, runs: int) -> float:
    from tests.bench import classic_rows

    model = str(classic_rows.FOLDER / "model.onnx")
    command = ["taskset", "-c", str(SERVER_CORE), sys.executable, "-m", "tests.bench.ort_alone", model]
    done = subprocess.run([*command, str(rows), str(runs)], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"onnxruntime alone: {done.stderr.strip()[-200:]}")
    return float(done.stdout)


def _run(module: str, *arguments: str) -> None:
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, preexec_fn=pin_to_load_core)
    if done.returncode:
        raise BenchError(f"{module}: {done.stderr.strip()[-200:]}")


def _need(*modules: str) -> None:
    lacking = [module for module in modules if importlib.util.find_spec(module) is None]
    if lacking:
        raise Missing(f"{', '.join(lacking)} not installed")

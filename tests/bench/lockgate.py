"""Lockgate as it is measured: `python -m gateway serve` on a configuration written here, everything of a release on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import random
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import compiled
from tests.bench import bodies
from tests.bench.lab import Lab, Target
from tests.bench.processes import SERVER_CORE, BenchError, command_line, free_port, running, tree, wait_for_line

ROOT = Path(__file__).parents[2]
TENANTS = ("acme", "globex")
CLASSIC = "churn"  # the alias of the classic model
WORKER_MODULE = "gateway.runtime.worker"
CONTROL_MODULE = "gateway.runtime.control_process"
KEEPER_MODULE = "gateway.runtime.keeper"
ADMIN_TOKEN = "the-admin-token-of-the-bench-0123456789"
SUMMARY = {
    "command": "python -m gateway serve --config DIR --port P --state-dir D, one worker unless said otherwise",
    "on": [
        "journal (open and close entry of every request)",
        "metrics, access log (to a file) and ledger derived from it",
        "key look-up, model permission, balancing, health checks, retries, deadlines, usage of every answer",
        "the body is rewritten, since the alias differs from the served model",
        "streams ask the upstream for usage and hide it from the caller",
    ],
    "off": [
        "TLS",
        "with one endpoint there is no replica to choose (unary_cpu_x_nginx has two endpoints under raw)",
        "meters and prices, but in the rows about them",
        "chains of checks, but in the rows about them",
    ],
    "modules of the request's path": "compiled (make compiled)" if compiled.in_use() else "run from source",
    "backend": "kind vllm, one endpoint: the mock upstream",
    "tenants": f"{len(TENANTS)}, with 5 keys each (the 100,000-key rows: 100 tenants with 1,000 each)",
}


@dataclass(frozen=True)
class Size:
    """How big the configuration is."""

    tenants: int = len(TENANTS)
    keys_per_tenant: int = 5
    models: int = 1


@dataclass(frozen=True)
class Config:
    """A written configuration folder, with the secrets that open it and the aliases it serves."""

    folder: Path
    keys: Path  # one secret a line
    models: Path  # one alias a line
    first_key: str
    first_model: str


def secret(tenant: int, key: int) -> str:
    """A key as long as a real one, the same in every run."""
    return "lg-" + hashlib.sha256(f"{tenant}/{key}".encode()).hexdigest()[:40]


def write_config(
    lab: Lab,
    size: Size,
    *,
    endpoints: Sequence[str] = (),
    classic: Path | None = None,
    grpc: int | None = None,
    control: int | None = None,
    meters: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
    chain: Sequence[Mapping[str, Any]] = (),
) -> Config:
    """YAML for the few things, JSON lines for the many; the lines for the load generator are in random order.

    `endpoints` are the model servers' addresses, the mock upstream's when left out; `classic` is the folder of a
    classic model, `grpc` and `control` the ports of these listeners. `meters` are those of the gateway, of each tenant
    and of each key; with any of them the models have a price. `chain` is that of each tenant.
    """
    caps = meters or {}
    price = {"price": {"input": "$0.05/1M", "output": "$0.2/1M"}} if caps else {}
    endpoints = endpoints or [f"http://127.0.0.1:{lab.upstream_port}"]
    folder = lab.path("config")
    folder.mkdir()
    tenants = [
        TENANTS[number] if size.tenants <= len(TENANTS) else f"tenant-{number:03d}" for number in range(size.tenants)
    ]
    aliases = [bodies.ALIAS] if size.models == 1 else [f"model-{number:05d}" for number in range(size.models)]
    (folder / "lockgate.yaml").write_text(
        json.dumps(  # JSON is YAML
            {
                "server": {
                    "ops": f"127.0.0.1:{free_port()}",
                    **({} if grpc is None else {"grpc": f"127.0.0.1:{grpc}"}),
                    **({} if control is None else {"control": _control(control)}),
                },
                "backends": {
                    "mock": {
                        "kind": "vllm",
                        "endpoints": [{"url": url} for url in endpoints],
                        "api_key": "sk-upstream",
                    }
                },
                "models": {} if classic is None else {CLASSIC: {"kind": "onnx", "versions": {"1": str(classic)}}},
                "meters": caps.get("gateway", []),
                "chains": {"bench": list(chain)} if chain else {},
                "telemetry": {"access_log": True},
            },
            indent=1,
        )
    )
    (folder / "models.jsonl").write_text(
        _lines({"name": alias, "backend": "mock", "served_model": bodies.SERVED_MODEL, **price} for alias in aliases)
    )
    (folder / "tenants.jsonl").write_text(
        _lines(
            {
                "name": name,
                "models": [bodies.ALIAS, "model-*", CLASSIC],
                "meters": caps.get("tenant", []),
                **({"chain": "bench"} if chain else {}),
            }
            for name in tenants
        )
    )
    secrets = [
        (name, f"key-{k:04d}", secret(t, k)) for t, name in enumerate(tenants) for k in range(size.keys_per_tenant)
    ]
    (folder / "keys.jsonl").write_text(
        _lines(
            {
                "tenant": tenant,
                "key": key,
                "hash": "sha256:" + hashlib.sha256(value.encode()).hexdigest(),
                **({"meters": caps["key"]} if "key" in caps else {}),
            }
            for tenant, key, value in secrets
        )
    )
    shuffled = random.Random(7)
    keys, models = lab.path("keys.txt"), lab.path("models.txt")
    values = [value for _, _, value in secrets]
    shuffled.shuffle(values)
    shuffled.shuffle(aliases)
    keys.write_text("\n".join(values) + "\n")
    models.write_text("\n".join(aliases) + "\n")
    return Config(folder, keys, models, values[0], aliases[0])


def _control(port: int) -> dict[str, str]:
    return {"bind": f"127.0.0.1:{port}", "admin_token": ADMIN_TOKEN}


def _lines(entries: Iterable[dict[str, Any]]) -> str:
    return "".join(json.dumps(entry) + "\n" for entry in entries)


@dataclass(frozen=True)
class Started:
    """A running gateway, and how long it took from the start of the process to the ready line."""

    target: Target
    ready_s: float
    state_dir: Path

    @property
    def workers(self) -> list[int]:
        """Process ids of the workers."""
        return self.children(WORKER_MODULE)

    def children(self, module: str) -> list[int]:
        """Process ids of those that run a module of ours."""
        found = [pid for pid in tree(self.target.pid)[1:] if module in command_line(pid)]
        if not found:
            raise BenchError(f"no process of {module} found under the gateway")
        return found


@contextlib.contextmanager
def serving(lab: Lab, config: Config, *, workers: int = 1, core: int | None = SERVER_CORE) -> Iterator[Started]:
    if not (ROOT / "gateway" / "__main__.py").exists():
        raise BenchError("this checkout has no `python -m gateway` yet")
    port, log, state = free_port(), lab.path("lockgate.log"), lab.path("state")
    command: list[str | Path] = [sys.executable, "-m", "gateway", "serve", "--config", config.folder]
    command += ["--port", str(port), "--state-dir", state, "--workers", str(workers)]
    began = time.perf_counter()
    with running(command, core=core, log=log, cwd=ROOT) as process:
        wait_for_line(process, log, "ready ")
        ready_s = time.perf_counter() - began
        headers = [f"Authorization: Bearer {config.first_key}"]
        yield Started(Target("lockgate", port, process.pid, headers, config.first_model), ready_s, state)

"""What every measurement needs: the compiled tools, the mock upstream, the load generator, a folder for files.

`Lab.cpu_per_unit` is the central method: CPU of a server's process tree per request (or per streamed chunk) while the
load generator sends a fixed number of requests.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.bench import bodies
from tests.bench.processes import (
    LOAD_CORE,
    BenchError,
    Missing,
    cpu_ns,
    free_port,
    running,
    settle,
    tree,
    wait_for_port,
)

NATIVE = Path(__file__).parent / "native"
BUILD = Path(__file__).parent / "build"


@dataclass(frozen=True)
class Effort:
    """How much is measured: rounds of each candidate, and requests in one round."""

    rounds: int = 7
    unary_requests: int = 20_000
    stream_requests: int = 1_500
    latency_requests: int = 5_000
    images_requests: int = 400
    slow_peer_requests: int = 300
    open_streams: int = 5_000
    starts: int = 7

    @classmethod
    def quick(cls) -> Effort:
        return cls(3, 5_000, 400, 2_000, 100, 60, 5_000, 3)


@dataclass(frozen=True)
class Target:
    """A server under test: where it listens, the root of its process tree, what a caller must send."""

    name: str
    port: int
    pid: int
    headers: Sequence[str] = ()
    model: str = bodies.ALIAS
    notes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Load:
    """One run of the load generator."""

    body: bytes
    requests: int
    connections: int = 16
    chunks: int | None = None  # of each stream; None: not a stream
    all_arrive: bool = True  # each chunk in a frame of its own; False where checks hold text back, and mask it
    warmup: int = 0
    values: Sequence[Path] = ()
    path: str = "/v1/chat/completions"
    headers: Sequence[str] = ()
    expect: str = "total_tokens"  # what a good answer that is no stream holds
    max_seconds: float = 90


class Lab:
    """The bench's tools, up for the length of a run. Make it with `open_lab`."""

    def __init__(self, folder: Path, effort: Effort, loadgen: Path, upstream_ports: Sequence[int]) -> None:
        self.folder = folder
        self.effort = effort
        self.upstream_ports = upstream_ports  # one mock upstream behind all of them
        self.upstream_port = upstream_ports[0]
        self._loadgen = loadgen
        self._files = 0

    def path(self, name: str) -> Path:
        """A new path in the bench's folder, which is removed at the end."""
        self._files += 1
        return self.folder / f"{self._files:03d}-{name}"

    def set_upstream(self, *, unary_us: int = 0, chunk_us: int = 0, chunks: int = 64, prose: bool = False) -> None:
        """How the mock upstream answers from now on; `prose`: its streams say a text instead of the time."""
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream_port, timeout=5)
        with contextlib.closing(connection):
            connection.request("GET", f"/set?unary_us={unary_us}&chunk_us={chunk_us}&chunks={chunks}&prose={prose:d}")
            connection.getresponse().read()

    def direct(self) -> Target:
        return Target("direct", self.upstream_port, 0)

    def command(self, target: Target, load: Load) -> list[str]:
        body = self.path("body.json")
        body.write_bytes(load.body)
        command = [str(self._loadgen), "--port", str(target.port), "--body", str(body)]
        command += ["--connections", str(load.connections), "--requests", str(load.requests)]
        command += ["--warmup", str(load.warmup), "--max-seconds", str(load.max_seconds)]
        command += ["--path", load.path, "--expect", load.expect]
        for header in (*target.headers, *load.headers):
            command += ["--header", header]
        for values in load.values:
            command += ["--values", str(values)]
        if load.chunks is not None:
            command += ["--stream", *(["--chunks", str(load.chunks)] if load.all_arrive else [])]
        return command

    def send(self, target: Target, load: Load) -> dict[str, float]:
        """Runs one load to its end. Any error in it makes the measurement void."""
        done = subprocess.run(
            self.command(target, load), capture_output=True, text=True, preexec_fn=pin_to_load_core, check=False
        )
        if done.returncode:
            raise BenchError(f"load on {target.name}: {done.stderr.strip()[-200:]}")
        result: dict[str, float] = json.loads(done.stdout)
        if result["errors"]:
            raise BenchError(f"load on {target.name}: {result['errors']} errors, first: {result['first_error']}")
        return result

    def cpu_per_unit(self, target: Target, load: Load) -> float:
        """CPU µs of the target's tree per request, or per chunk the upstream sent when the load is a stream."""
        settle(target.pid)
        before = cpu_ns(tree(target.pid))
        result = self.send(target, load)
        settle(target.pid)
        spent_us = (cpu_ns(tree(target.pid)) - before) / 1000
        return spent_us / (result["requests"] * (load.chunks or 1))

    def cpu_rounds(self, loads: Mapping[str, tuple[Target, Load]], rounds: int) -> dict[str, list[float]]:
        """`cpu_per_unit` of each candidate in turn (A B A B …), after one shorter warm-up of each."""
        for target, load in loads.values():
            self.send(target, replace(load, requests=max(load.connections, load.requests // 5), warmup=0))
        found: dict[str, list[float]] = {name: [] for name in loads}
        for _ in range(rounds):
            for name, (target, load) in loads.items():
                found[name].append(self.cpu_per_unit(target, load))
        return found


def pin_to_load_core() -> None:
    os.sched_setaffinity(0, {LOAD_CORE})


def compile_tools() -> dict[str, Path]:
    """Compiles native/*.c into build/. Raises Missing without a compiler."""
    compiler = os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not compiler:
        raise Missing("no C compiler (cc, gcc or clang) for the load generator")
    BUILD.mkdir(exist_ok=True)
    tools = {}
    for source in sorted(NATIVE.glob("*.c")):
        binary = BUILD / source.stem
        tools[source.stem] = binary
        done = subprocess.run([compiler, "-O2", "-o", binary, source], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"{compiler} could not compile {source.name}: {done.stderr[:300]}")
    return tools


@contextlib.contextmanager
def open_lab(folder: Path, effort: Effort) -> Iterator[Lab]:
    tools = compile_tools()
    ports, log = (free_port(), free_port()), folder / "upstream.log"
    with running([tools["upstream"], *map(str, ports)], core=LOAD_CORE, log=log) as upstream:
        wait_for_port(upstream, ports[0], log)
        yield Lab(folder, effort, tools["loadgen"], ports)

"""The peers: LiteLLM's proxy and sglang's router, each from its own environment outside the checkout.

`python -m tests.bench.peers install` makes those environments (about 1 GB of downloads from PyPI); without them their
rows are skipped. They live in $LOCKGATE_BENCH_PEERS, by default ~/.cache/lockgate/bench-peers.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench import bodies
from tests.bench.lab import Lab, Target
from tests.bench.processes import SERVER_CORE, Missing, free_port, running, wait_for_port

KEY = "sk-bench-0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Peer:
    """What to install. The versions are pinned: litellm 1.107.0 was a compromised release and is never installed."""

    name: str
    requirements: Sequence[str]
    summary: str

    @property
    def folder(self) -> Path:
        default = Path.home() / ".cache" / "lockgate" / "bench-peers"
        return Path(os.environ.get("LOCKGATE_BENCH_PEERS", default)) / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def require(self) -> None:
        if not self.python.exists():
            raise Missing(f"{self.name} is not installed (python -m tests.bench.peers install)")

    def version(self) -> str:
        """'' when it is not installed."""
        if not self.python.exists():
            return ""
        script = f"import importlib.metadata as m; print(m.version({self.name!r}))"
        done = subprocess.run([self.python, "-c", script], capture_output=True, text=True, check=False)
        return done.stdout.strip()


LITELLM = Peer(
    "litellm",
    ["litellm[proxy]==1.106.0"],
    "proxy, 1 worker, master key, no database, no callbacks, telemetry off",
)
SGLANG_ROUTER = Peer(
    "sglang-router",
    ["sglang-router==0.3.2"],
    "one worker (the mock), round robin, no key check, request log off",
)


@contextlib.contextmanager
def serving_litellm(lab: Lab) -> Iterator[Target]:
    LITELLM.require()
    port, log, config = free_port(), lab.path("litellm.log"), lab.path("litellm.yaml")
    upstream = f"http://127.0.0.1:{lab.upstream_port}/v1"
    parameters = {"model": f"openai/{bodies.SERVED_MODEL}", "api_base": upstream, "api_key": "sk-upstream"}
    settings = {
        "model_list": [{"model_name": bodies.ALIAS, "litellm_params": parameters}],
        "general_settings": {"master_key": KEY},
    }
    config.write_text(json.dumps(settings))
    command: list[str | Path] = [
        LITELLM.folder / "bin" / "litellm",
        "--config",
        config,
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    quiet = {"LITELLM_TELEMETRY": "False", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    with running([*command, "--num_workers", "1"], core=SERVER_CORE, log=log, environment=quiet) as process:
        wait_for_port(process, port, log, 120)
        yield Target("litellm", port, process.pid, [f"Authorization: Bearer {KEY}"])


@contextlib.contextmanager
def serving_sglang_router(lab: Lab) -> Iterator[Target]:
    SGLANG_ROUTER.require()
    port, log = free_port(), lab.path("sglang-router.log")
    command: list[str | Path] = [
        SGLANG_ROUTER.python,
        "-m",
        "sglang_router.launch_router",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    command += ["--worker-urls", f"http://127.0.0.1:{lab.upstream_port}", "--policy", "round_robin"]
    command += ["--prometheus-port", str(free_port()), "--log-level", "error"]
    with running(command, core=SERVER_CORE, log=log) as process:
        wait_for_port(process, port, log, 60)
        yield Target("sglang-router", port, process.pid, model=bodies.SERVED_MODEL)


def install() -> int:
    """Makes both environments; an existing one is left alone."""
    for peer in (LITELLM, SGLANG_ROUTER):
        if peer.version():
            print(f"{peer.name} {peer.version()} is in {peer.folder}")
            continue
        print(f"installing {peer.name} into {peer.folder} …", flush=True)
        venv.create(peer.folder, with_pip=True, clear=True)
        subprocess.run([peer.python, "-m", "pip", "install", "--quiet", *peer.requirements], check=True)
    return 0


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: python -m tests.bench.peers install")
    sys.exit(install())

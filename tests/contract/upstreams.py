"""The servers under the contract, each asked in two ways: directly, and through a gateway in front of it.

Where the gateway starts the server itself (`fake`, `embedded`), the direct one is another process of the same command,
so that its own way to start it is under test too; vLLM is one server behind both.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.contract.cases import CASES, CHAT, EMBED, OWN, TEXT, Target, run
from tests.support import gateway_process, vllm

KEY = "lg-contract-key"


@dataclass(frozen=True)
class Upstream:
    """A running server: how to ask it directly, and how the gateway is told of it."""

    direct: Target
    backend: dict[str, Any]
    environment: dict[str, str]


@dataclass(frozen=True)
class Kind:
    """One kind of server: what it offers, and how it is started with its files under a folder."""

    offers: frozenset[str]
    start: Callable[[ExitStack, Path], Upstream]

    def cases(self) -> list[str]:
        """The cases it takes part in, but for the gateway's own."""
        return [name for name, (offers, _) in CASES.items() if offers in self.offers]


@contextmanager
def _command(*arguments: str) -> Iterator[str]:
    """A server that prints `listening ADDRESS` when it is ready; yields the address."""
    command = [sys.executable, "-m", *arguments]
    child = subprocess.Popen(command, cwd=gateway_process.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        word, _, address = child.stdout.readline().decode().strip().partition(" ")
        if word != "listening":
            raise RuntimeError(f"{' '.join(command)} ended with {child.wait(10)} and did not listen")
        yield address
    finally:
        child.terminate()
        try:
            child.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def _fake(stack: ExitStack, folder: Path) -> Upstream:
    address = stack.enter_context(_command("gateway.backends.fake", "--port", "0"))
    return Upstream(Target(f"{address}/v1", "any", "m", "m", "openai/m"), {"kind": "fake"}, {})


def _llama_cpp(stack: ExitStack, folder: Path) -> Upstream:
    address = stack.enter_context(_command("gateway.backends.embedded_chat", "--port", "0"))
    name = "smollm2-135m"
    return Upstream(Target(f"{address}/v1", "any", name, name, name), {"kind": "embedded", "model": name}, {})


def _minilm(stack: ExitStack, folder: Path) -> Upstream:
    address = stack.enter_context(_command("gateway.backends.embedded_embeddings", "--port", "0"))
    return Upstream(
        Target(f"{address}/v1", "any", "minilm", "minilm", "minilm"), {"kind": "embedded", "model": "minilm"}, {}
    )


def _vllm(stack: ExitStack, folder: Path) -> Upstream:
    address = stack.enter_context(vllm.serving(folder / "vllm.log"))
    backend = {"kind": "vllm", "endpoints": [{"url": address}], "api_key": "${CONTRACT_UPSTREAM_KEY}"}
    target = Target(f"{address}/v1", vllm.API_KEY, vllm.MODEL, vllm.MODEL, vllm.ALIAS_WITH_SLASH)
    return Upstream(target, backend, {"CONTRACT_UPSTREAM_KEY": vllm.API_KEY})


KINDS = {
    "fake": Kind(frozenset({CHAT, TEXT, EMBED}), _fake),
    "llama_cpp": Kind(frozenset({CHAT, TEXT}), _llama_cpp),
    "minilm": Kind(frozenset({EMBED}), _minilm),
    "vllm": Kind(frozenset({CHAT, TEXT}), _vllm),
}


def _through_gateway(stack: ExitStack, folder: Path, upstream: Upstream) -> Target:
    """A gateway with three names for the upstream's model, and the way to ask it."""
    direct, digest = upstream.direct, hashlib.sha256(KEY.encode()).hexdigest()
    through = Target("", KEY, direct.model, "renamed", "openai/contract")
    configuration = {
        "server": {"workers": 1},
        "backends": {"upstream": upstream.backend},
        "models": {
            through.model: {"backend": "upstream"},
            through.other_model: {"backend": "upstream", "served_model": direct.other_model},
            through.slash_model: {"backend": "upstream", "served_model": direct.slash_model},
        },
        "tenants": {"contract": {"models": ["*"], "keys": {"app": {"hash": f"sha256:{digest}"}}}},
    }
    gateway = stack.enter_context(
        gateway_process.serving(folder / "gateway", configuration, environment=upstream.environment)
    )
    return replace(through, base_url=f"{gateway.data}/v1")


class Servers:
    """Starts each kind of server with its gateway when first asked for, keeps them, and keeps the results."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._running: dict[str, tuple[Target, Target]] = {}
        self._results: dict[tuple[str, bool, str], Any] = {}

    def targets(self, kind: str) -> tuple[Target, Target]:
        """How to ask this kind of server directly, and through its gateway."""
        if kind not in self._running:
            folder = self._folder / kind
            folder.mkdir(parents=True)
            upstream = KINDS[kind].start(self._stack, folder)
            self._running[kind] = upstream.direct, _through_gateway(self._stack, folder, upstream)
        return self._running[kind]

    def result(self, kind: str, case: str, *, through: bool) -> Any:
        """A case's result, asked for once."""
        at = kind, through, case
        if at not in self._results:
            self._results[at] = run(case, self.targets(kind)[through])
        return self._results[at]


OWN_CASES = [name for name, (offers, _) in CASES.items() if offers == OWN]

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

from tests.contract.cases import CASES, CHAT, EMBED, OWN, RANK, RESPONSES, TEXT, Target, run
from tests.support import gateway_process, vllm
from tests.support.otlp import Receiver, has_packages, receiving

KEY = "lg-contract-key"


@dataclass(frozen=True)
class Upstream:
    """A running server: how to ask it directly, and how the gateway is told of it."""

    direct: Target
    backend: dict[str, Any]
    environment: dict[str, str]
    spans: Receiver | None = None
    """What gets its own spans, where it sends any."""


@dataclass(frozen=True)
class Kind:
    """One kind of server: what it offers, and how it is started with its files under a folder. What `start` returns
    waits until the server is ready."""

    offers: frozenset[str]
    start: Callable[[ExitStack, Path], Callable[[], Upstream]]

    def cases(self) -> list[str]:
        """The cases it takes part in, but for the gateway's own."""
        return [name for name, (offers, _) in CASES.items() if offers in self.offers]


@contextmanager
def _command(*arguments: str) -> Iterator[Callable[[], str]]:
    """A server that prints `listening ADDRESS` when it is ready; yields what waits for it and returns the address."""
    command = [sys.executable, "-m", *arguments]
    child = subprocess.Popen(command, cwd=gateway_process.ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert child.stdout is not None
    said = child.stdout

    def ready() -> str:
        word, _, address = said.readline().decode().strip().partition(" ")
        if word != "listening":
            raise RuntimeError(f"{' '.join(command)} ended with {child.wait(10)} and did not listen")
        return address

    try:
        yield ready
    finally:
        child.terminate()
        try:
            child.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def _beside_the_gateway(module: str, name: str, backend: dict[str, Any], slash_name: str) -> Callable[..., Any]:
    """A server the gateway also starts by itself: the same command, on a port."""

    def start(stack: ExitStack, folder: Path) -> Callable[[], Upstream]:
        ready = stack.enter_context(_command(module, "--port", "0"))
        return lambda: Upstream(Target(f"{ready()}/v1", "any", name, name, slash_name), backend, {})

    return start


def _vllm(*flags: str) -> Callable[[ExitStack, Path], Callable[[], Upstream]]:
    def start(stack: ExitStack, folder: Path) -> Callable[[], Upstream]:
        spans = stack.enter_context(receiving("grpc")) if has_packages() else None
        tracing = () if spans is None else ("--otlp-traces-endpoint", spans.url)
        ready = stack.enter_context(vllm.starting(folder / "vllm.log", *flags, *tracing))

        def upstream() -> Upstream:
            address = ready()
            backend = {"kind": "vllm", "endpoints": [{"url": address}], "api_key": "${CONTRACT_UPSTREAM_KEY}"}
            target = Target(f"{address}/v1", vllm.API_KEY, vllm.MODEL, vllm.MODEL, vllm.ALIAS_WITH_SLASH)
            return Upstream(target, backend, {"CONTRACT_UPSTREAM_KEY": vllm.API_KEY}, spans)

        return upstream

    return start


SMOLLM, MINILM = "smollm2-135m", "minilm"
KINDS = {
    "fake": Kind(
        frozenset({CHAT, TEXT, EMBED}),
        _beside_the_gateway("gateway.backends.fake", "m", {"kind": "fake"}, "openai/m"),
    ),
    "llama_cpp": Kind(
        frozenset({CHAT, TEXT}),
        _beside_the_gateway("gateway.backends.embedded_chat", SMOLLM, {"kind": "embedded", "model": SMOLLM}, SMOLLM),
    ),
    "minilm": Kind(
        frozenset({EMBED}),
        _beside_the_gateway(
            "gateway.backends.embedded_embeddings", MINILM, {"kind": "embedded", "model": MINILM}, MINILM
        ),
    ),
    "vllm": Kind(frozenset({CHAT, TEXT, RESPONSES}), _vllm(*vllm.CHAT)),
    "vllm_embeddings": Kind(frozenset({EMBED, RANK}), _vllm(*vllm.EMBEDDINGS)),
}


@dataclass(frozen=True)
class Pair:
    """One server, asked both ways, and the gateway in front of it."""

    direct: Target
    through: Target
    gateway: gateway_process.GatewayProcess
    upstream: Upstream


def _with_gateway(stack: ExitStack, folder: Path, upstream: Upstream) -> Pair:
    """The upstream with a gateway that has three names for its model."""
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
    return Pair(direct, replace(through, base_url=f"{gateway.data}/v1"), gateway, upstream)


class Servers:
    """Starts each kind of server with its gateway when first asked for, keeps them, and keeps the results."""

    def __init__(self, stack: ExitStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder
        self._starting: dict[str, Callable[[], Upstream]] = {}
        self._running: dict[str, Pair | Exception] = {}
        self._results: dict[tuple[str, bool, str], Any] = {}

    def begin(self, kind: str) -> None:
        """Starts a server that will be needed, without waiting for it."""
        if kind not in self._starting:
            (self._folder / kind).mkdir(parents=True)
            self._starting[kind] = KINDS[kind].start(self._stack, self._folder / kind)

    def pair(self, kind: str) -> Pair:
        """This kind of server, ready, with its gateway. A failed start is not tried again."""
        if kind not in self._running:
            try:
                self.begin(kind)
                self._running[kind] = _with_gateway(self._stack, self._folder / kind, self._starting[kind]())
            except Exception as failed:  # noqa: BLE001 - kept, and raised for every test that needs this server
                self._running[kind] = failed
        found = self._running[kind]
        if isinstance(found, Exception):
            raise found
        return found

    def result(self, kind: str, case: str, *, through: bool) -> Any:
        """A case's result, asked for once."""
        at = kind, through, case
        if at not in self._results:
            pair = self.pair(kind)
            self._results[at] = run(case, pair.through if through else pair.direct)
        return self._results[at]


OWN_CASES = [name for name, (offers, _) in CASES.items() if offers == OWN]

"""Which modules are also compiled, and that a compiled module is used only with the source it was made of.

`make compiled` translates the modules of the request's path to C with mypyc, in place: `server.py` gets a
`server.….so` beside it, which Python then prefers. They are the same typed Python, more than a third cheaper; without a
compiler, or with LOCKGATE_COMPILED=0, everything runs from source. All of them are compiled together and know each
other's insides, so when one source has changed since, none of the compiled ones is used.

The guardrails are compiled apart, into a folder of this package: they are a library that may be imported without the
gateway, and then run from source.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Final

MODULES: Final = (
    "gateway.backends.base",
    "gateway.backends.http1",
    "gateway.backends.pool",
    "gateway.backends.reply",
    "gateway.backends.waiter",
    "gateway.dataplane.admission",
    "gateway.dataplane.admitted",
    "gateway.dataplane.asgi_exchange",
    "gateway.dataplane.attempt",
    "gateway.dataplane.chat",
    "gateway.dataplane.counting",
    "gateway.dataplane.exchange",
    "gateway.dataplane.gateway",
    "gateway.dataplane.grpc_exchange",
    "gateway.dataplane.holding",
    "gateway.dataplane.leasing",
    "gateway.dataplane.lifecycle",
    "gateway.dataplane.meter_answers",
    "gateway.dataplane.recording",
    "gateway.dataplane.routes",
    "gateway.dataplane.running",
    "gateway.dataplane.server",
    "gateway.dataplane.settling",
    "gateway.dataplane.stepping",
    "gateway.dataplane.stream",
    "gateway.dataplane.unary",
    "gateway.policy.balance",
    "gateway.policy.bounds",
    "gateway.policy.conversation",
    "gateway.policy.identity",
    "gateway.policy.leases",
    "gateway.policy.overhead",
    "gateway.policy.projects",
    "gateway.policy.resolve",
    "gateway.policy.spend",
    "gateway.policy.terms",
    "gateway.policy.waiting",
    "gateway.store.ids",
    "gateway.store.journal",
    "gateway.store.request_row",
    "gateway.wire.body",
    "gateway.wire.call",
    "gateway.wire.chat",
    "gateway.wire.denied",
    "gateway.wire.known_head",
    "gateway.wire.last_frame",
    "gateway.wire.relay",
    "gateway.wire.running",
    "gateway.wire.sse",
    "gateway.wire.trace_ids",
)
"""None of them defines a `msgspec.Struct`: mypyc does not keep the annotations that one is made of."""

GUARDRAILS: Final = (
    "guardrails.chain",
    "guardrails.characters",
    "guardrails.checks.patterned",
    "guardrails.checks.pii",
    "guardrails.checks.secrets",
    "guardrails.classifiers.features",
    "guardrails.decode",
    "guardrails.english",
    "guardrails.holdback",
    "guardrails.normalise",
    "guardrails.offsets",
    "guardrails.patterns.automaton",
    "guardrails.patterns.program",
    "guardrails.patterns.scan",
    "guardrails.patterns.syntax",
    "guardrails.respell",
    "guardrails.screen",
    "guardrails.verdict",
)
"""What reads every character of a text that is screened or classified."""

SWITCH: Final = "LOCKGATE_COMPILED"
STAMP: Final = "compiled.stamp"
"""The file beside this one that says which sources were compiled, and for which Python."""
SHARED: Final = "__mypyc"
"""Modules that are compiled together stand in one library, named by their group and this."""
_ROOT: Final = Path(__file__).parent.parent


def source(module: str) -> Path:
    """Where the source of a module is."""
    return _ROOT / (module.replace(".", "/") + ".py")


def folder() -> Path:
    """Where the compiled guardrails are."""
    return _ROOT / "gateway" / "compiled_guardrails"


def fingerprint() -> str:
    """The sources as they are now, and the Python that runs."""
    sums = (f"{module} {zlib.crc32(source(module).read_bytes()):08x}" for module in (*MODULES, *GUARDRAILS))
    return "\n".join((sys.implementation.cache_tag, *sums, ""))


def in_use() -> bool:
    """Whether the compiled modules are there, of these sources, and wanted."""
    try:
        return os.environ.get(SWITCH) != "0" and (_ROOT / "gateway" / STAMP).read_text() == fingerprint()
    except OSError:
        return False


class _Sources:
    """Finds the sources of this package, before Python finds anything compiled (perhaps of another list)."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not name.startswith("gateway.") or not source(name).is_file():
            return None
        path_to_it = str(source(name))
        spec = ModuleSpec(name, SourceFileLoader(name, path_to_it), origin=path_to_it)
        spec.has_location = True  # sets __file__, and lets the byte code be kept
        return spec


class _Guardrails:
    """Finds the compiled guardrails."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in GUARDRAILS and name != f"guardrails{SHARED}":
            return None
        path_to_it = str(folder() / (name.replace(".", "/") + EXTENSION_SUFFIXES[0]))
        spec = ModuleSpec(name, ExtensionFileLoader(name, path_to_it), origin=path_to_it)
        spec.has_location = True
        return spec


def choose() -> None:
    """Called when the package is imported, before any of `MODULES` is."""
    if not in_use():
        sys.meta_path.insert(0, _Sources())
    elif not any(module in sys.modules for module in GUARDRAILS):  # compiled ones know only each other
        sys.meta_path.insert(0, _Guardrails())

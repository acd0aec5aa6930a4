"""What a chain of checks costs: CPU of a request with one, against none."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, Final

from tests.bench import lockgate
from tests.bench.lab import Lab
from tests.bench.lockgate import Size
from tests.bench.measures.cpu import unary_load
from tests.bench.rows import Measured
from tests.bench.stats import spread

BOTH = ["input", "output"]
PATTERNS: Sequence[Mapping[str, Any]] = (
    {"check": "secrets", "phase": BOTH, "action": "mask"},
    {"check": "pii", "phase": BOTH, "action": "mask"},
)
FULL: Sequence[Mapping[str, Any]] = (
    *PATTERNS,
    {"check": "injection", "phase": ["input", "tool_result"], "action": "block", "threshold": 0.9},
    {"check": "toxicity", "phase": ["output"], "action": "block"},
)

FEWER: Final = 20
"""One request in so many of the other rows': a request that is checked costs milliseconds, and not microseconds."""


def measure(lab: Lab) -> Mapping[str, Measured]:
    """Gateways with a chain of patterns, with that and classifiers, and with none, in turn: the median of the rounds'
    differences. The CPU is that of all processes, the check process among them."""
    lab.set_upstream()
    return {f"chain_{name}_cpu_us": measured for name, measured in _found(lab).items()}


def _found(lab: Lab) -> dict[str, Measured]:
    chains: dict[str, Sequence[Mapping[str, Any]]] = {"none": (), "patterns": PATTERNS, "full": FULL}
    with contextlib.ExitStack() as stack:
        candidates = {}
        for name, chain in chains.items():
            gateway = stack.enter_context(lockgate.serving(lab, lockgate.write_config(lab, Size(), chain=chain)))
            whole = unary_load(lab, gateway.target)
            fewer = max(whole.requests // FEWER, whole.connections)
            candidates[name] = (gateway.target, replace(whole, requests=fewer))
        found = lab.cpu_rounds(candidates, lab.effort.rounds)
    measured = {}
    for name in ("patterns", "full"):
        differences = [with_chain - none for with_chain, none in zip(found[name], found["none"], strict=True)]
        raw = {f"{each}_us_per_request": spread(found[each]) for each in ("none", name)}
        measured[name] = Measured(median(differences), raw)
    return measured

"""What a chain of checks costs: CPU of a request and of a streamed chunk with one, against none."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from tests.bench import lockgate
from tests.bench.lab import Lab
from tests.bench.lockgate import Size
from tests.bench.measures.cpu import CHUNK_US, STREAM_CHUNKS, LoadFor, stream_load, unary_load
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


def measure(lab: Lab) -> Mapping[str, Measured]:
    """Gateways with a chain of patterns, with that and classifiers, and with none, in turn: the median of the rounds'
    differences. The CPU is that of all processes, the check process among them."""
    lab.set_upstream()
    unary = _found(lab, unary_load, "us_per_request")
    lab.set_upstream(chunk_us=CHUNK_US, chunks=STREAM_CHUNKS)
    chunks = _found(lab, stream_load, "us_per_chunk")
    return {
        **{f"chain_{name}_cpu_us": measured for name, measured in unary.items()},
        **{f"chain_{name}_chunk_cpu_us": measured for name, measured in chunks.items()},
    }


def _found(lab: Lab, load: LoadFor, unit: str) -> dict[str, Measured]:
    chains: dict[str, Sequence[Mapping[str, Any]]] = {"none": (), "patterns": PATTERNS, "full": FULL}
    with contextlib.ExitStack() as stack:
        candidates = {}
        for name, chain in chains.items():
            gateway = stack.enter_context(lockgate.serving(lab, lockgate.write_config(lab, Size(), chain=chain)))
            candidates[name] = (gateway.target, load(lab, gateway.target))
        found = lab.cpu_rounds(candidates, lab.effort.rounds)
    measured = {}
    for name in ("patterns", "full"):
        differences = [with_chain - none for with_chain, none in zip(found[name], found["none"], strict=True)]
        raw = {f"none_{unit}": spread(found["none"]), f"{name}_{unit}": spread(found[name])}
        measured[name] = Measured(median(differences), raw)
    return measured

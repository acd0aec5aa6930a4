"""What a chain of checks costs: CPU of a request, and of a chunk of a stream, with one against none."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, Final

from tests.bench import lockgate
from tests.bench.lab import Lab, Load, Target
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

ANSWERS: Sequence[Mapping[str, Any]] = tuple({**check, "phase": ["output"]} for check in PATTERNS)

FEWER: Final = 20
"""One request in so many of the other rows': a request that is checked costs milliseconds, and not microseconds."""


def measure(lab: Lab) -> Mapping[str, Measured]:
    """Gateways with a chain of patterns, with that and classifiers, and with none, in turn: the median of the rounds'
    differences. The CPU is that of all processes, the check process among them."""
    lab.set_upstream()
    found = _found(lab, {"none": (), "patterns": PATTERNS, "full": FULL}, _requests, "us_per_request")
    return {f"chain_{name}_cpu_us": measured for name, measured in found.items()}


def measure_streams(lab: Lab) -> Mapping[str, Measured]:
    """The same of a chunk of a stream, with patterns that look at answers alone: a text of words with an address, a
    number and a date in it."""
    lab.set_upstream(chunk_us=CHUNK_US, chunks=STREAM_CHUNKS, prose=True)
    found = _found(lab, {"none": (), "patterns": ANSWERS}, _streams, "us_per_chunk")
    lab.set_upstream()
    return {"chain_stream_chunk_cpu_us": found["patterns"]}


def _requests(lab: Lab, target: Target) -> Load:
    whole = unary_load(lab, target)
    return replace(whole, requests=max(whole.requests // FEWER, whole.connections))


def _streams(lab: Lab, target: Target) -> Load:
    return replace(stream_load(lab, target), all_arrive=False)


def _found(
    lab: Lab, chains: Mapping[str, Sequence[Mapping[str, Any]]], load: LoadFor, unit: str
) -> dict[str, Measured]:
    """By the name of each of `chains` but `none`."""
    with contextlib.ExitStack() as stack:
        candidates = {}
        for name, chain in chains.items():
            gateway = stack.enter_context(lockgate.serving(lab, lockgate.write_config(lab, Size(), chain=chain)))
            candidates[name] = (gateway.target, load(lab, gateway.target))
        found = lab.cpu_rounds(candidates, lab.effort.rounds)
    measured = {}
    for name in chains.keys() - {"none"}:
        differences = [with_chain - none for with_chain, none in zip(found[name], found["none"], strict=True)]
        raw = {f"{each}_{unit}": spread(found[each]) for each in ("none", name)}
        measured[name] = Measured(median(differences), raw)
    return measured

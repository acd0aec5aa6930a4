"""The peers' CPU of a unary chat request over ours, each pair in one alternating run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

from tests.bench import lockgate, peers
from tests.bench.lab import Lab, Target
from tests.bench.lockgate import Size
from tests.bench.measures.cpu import unary_load
from tests.bench.rows import Measured
from tests.bench.stats import ratio_of_medians, spread

PEER_ROUNDS = 3


def measure_litellm(lab: Lab) -> Mapping[str, Measured]:
    return {"litellm_cpu_x_us": _over_ours(lab, peers.LITELLM, peers.serving_litellm, lab.effort.slow_peer_requests)}


def measure_sglang_router(lab: Lab) -> Mapping[str, Measured]:
    requests = lab.effort.unary_requests
    return {"sglang_router_cpu_x_us": _over_ours(lab, peers.SGLANG_ROUTER, peers.serving_sglang_router, requests)}


def _over_ours(
    lab: Lab, peer: peers.Peer, serving: Callable[[Lab], AbstractContextManager[Target]], requests: int
) -> Measured:
    peer.require()
    lab.set_upstream()
    with contextlib.ExitStack() as stack:
        theirs = stack.enter_context(serving(lab))
        ours = stack.enter_context(lockgate.serving(lab, lockgate.write_config(lab, Size()))).target
        candidates = {
            peer.name: (theirs, replace(unary_load(lab, theirs), requests=requests)),
            "lockgate": (ours, unary_load(lab, ours)),
        }
        found = lab.cpu_rounds(candidates, min(PEER_ROUNDS, lab.effort.rounds))
    raw: dict[str, object] = {f"{name}_us_per_request": spread(rounds) for name, rounds in found.items()}
    raw |= {"version": peer.version(), "how": peer.summary}
    return Measured(ratio_of_medians(found[peer.name], found["lockgate"]), raw)

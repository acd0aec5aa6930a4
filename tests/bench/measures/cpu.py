"""CPU of the gateway's process tree against nginx's, alternating, for three kinds of request."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from tests.bench import bodies, lockgate, nginx
from tests.bench.lab import Lab, Load, Target
from tests.bench.lockgate import Size
from tests.bench.processes import cpu_ns, tree
from tests.bench.rows import Measured
from tests.bench.stats import ratio_of_medians, spread

STREAMS = 128  # open at a time; with a frame each 5 ms they make 25,600 frames a second
STREAM_CHUNKS = 100
CHUNK_US = 5_000

LoadFor = Callable[[Lab, Target], Load]


def unary_load(lab: Lab, target: Target) -> Load:
    """2 KB chat, 692-byte answer, concurrency 16."""
    return Load(bodies.chat_body(target.model), lab.effort.unary_requests)


def stream_load(lab: Lab, target: Target) -> Load:
    """Many slow streams at once, so that nearly every chunk is read, decided on and written by itself.

    The cost of opening a stream is in the figure, spread over its chunks.
    """
    body = bodies.chat_body(target.model, stream=True)
    return Load(body, lab.effort.stream_requests, STREAMS, STREAM_CHUNKS)


def images_load(lab: Lab, target: Target) -> Load:
    """1 MB bodies at concurrency 4."""
    return Load(bodies.images_body(target.model), lab.effort.images_requests, 4)


def measure_unary(lab: Lab) -> Mapping[str, Measured]:
    """Beside the value, in `raw`: the same with two endpoints, where a conversation has a replica to stay with."""
    lab.set_upstream()
    return {"unary_cpu_x_nginx": _against_nginx(lab, unary_load, "us_per_request", two_endpoints=True)}


def measure_stream(lab: Lab) -> Mapping[str, Measured]:
    lab.set_upstream(chunk_us=CHUNK_US, chunks=STREAM_CHUNKS)
    return {"stream_chunk_cpu_x_nginx": _against_nginx(lab, stream_load, "us_per_chunk")}


def measure_images(lab: Lab) -> Mapping[str, Measured]:
    lab.set_upstream()
    return {"body_1mb_cpu_x_nginx": _against_nginx(lab, images_load, "us_per_request")}


def _against_nginx(lab: Lab, load: LoadFor, unit: str, *, two_endpoints: bool = False) -> Measured:
    with contextlib.ExitStack() as stack:
        theirs = stack.enter_context(nginx.serving(lab))
        ours = stack.enter_context(lockgate.serving(lab, lockgate.write_config(lab, Size())))
        candidates = {"nginx": (theirs, load(lab, theirs)), "lockgate": (ours.target, load(lab, ours.target))}
        if two_endpoints:
            urls = [f"http://127.0.0.1:{port}" for port in lab.upstream_ports]
            both = stack.enter_context(lockgate.serving(lab, lockgate.write_config(lab, Size(), endpoints=urls))).target
            candidates["lockgate_two_endpoints"] = (both, load(lab, both))
        tree_before, workers_before = cpu_ns(tree(ours.target.pid)), cpu_ns(ours.workers)
        found = lab.cpu_rounds(candidates, lab.effort.rounds)
        tree_spent = cpu_ns(tree(ours.target.pid)) - tree_before
        worker_share = (cpu_ns(ours.workers) - workers_before) / tree_spent
    ratio = ratio_of_medians(found["lockgate"], found["nginx"])
    raw: dict[str, object] = {f"{name}_{unit}": spread(rounds) for name, rounds in found.items()}
    raw["worker_share_of_lockgate"] = round(worker_share, 3)
    raw["worker_alone_x_nginx"] = round(worker_share * ratio, 3)
    return Measured(ratio, raw)

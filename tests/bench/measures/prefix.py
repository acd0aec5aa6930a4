"""What keeping a conversation on one replica is worth: prefix-cache hits through the gateway against round robin.

Four fake replicas with simulated prefix caches (blocks of 16 tokens, as vLLM's). Conversations of several turns, each
turn sending the whole history again, arrive in a shuffled order, several at a time. Once through the gateway, once
straight to the replicas in turn; fresh replicas each time. The same requests, so only the placing differs.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import random
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from tests.bench import bodies, lockgate
from tests.bench.lab import Lab
from tests.bench.lockgate import ROOT, Size
from tests.bench.processes import BenchError, free_port, running, wait_for_port
from tests.bench.rows import Measured

REPLICAS = 4
CONVERSATIONS = 48
TURNS = 8
CACHE_BLOCKS = 2048  # of each replica: 32,768 tokens; all conversations together need about twice that
AT_A_TIME = 8
SYSTEM = "You are the support assistant of a shop. Answer briefly, politely and from the documents only. " * 8

Turn = list[dict[str, str]]
Place = Callable[[int], tuple[int, Mapping[str, str]]]  # number of the request → port and headers


def measure(lab: Lab) -> Mapping[str, Measured]:
    sticky, robin = _through_gateway(lab), _round_robin(lab)
    raw = {
        "gateway_hit_rate": round(sticky, 4),
        "round_robin_hit_rate": round(robin, 4),
        "replicas": REPLICAS,
        "conversations": CONVERSATIONS,
        "turns": TURNS,
        "cache_blocks_per_replica": CACHE_BLOCKS,
    }
    return {"prefix_hit_rate_gain": Measured(sticky - robin, raw)}


def turns_of(seed: int) -> list[list[Turn]]:
    """By turn, then by conversation in the order of arrival: the messages to send."""
    chance = random.Random(seed)
    words = [f"word{number:04d}" for number in range(2000)]
    histories: list[Turn] = [[{"role": "system", "content": SYSTEM}] for _ in range(CONVERSATIONS)]
    found = []
    for _ in range(TURNS):
        for history in histories:
            history.append({"role": "user", "content": " ".join(chance.choices(words, k=60))})
        order = chance.sample(histories, len(histories))
        found.append([list(history) for history in order])
        for history in histories:
            history.append({"role": "assistant", "content": " ".join(chance.choices(words, k=60))})
    return found


def _through_gateway(lab: Lab) -> float:
    with contextlib.ExitStack() as stack:
        ports = [_replica(lab, stack) for _ in range(REPLICAS)]
        config = lockgate.write_config(lab, Size(), endpoints=[f"http://127.0.0.1:{port}" for port in ports])
        target = stack.enter_context(lockgate.serving(lab, config, core=None)).target
        key = {"Authorization": f"Bearer {config.first_key}"}
        return _hit_rate(ports, lambda _: (target.port, key))


def _round_robin(lab: Lab) -> float:
    with contextlib.ExitStack() as stack:
        ports = [_replica(lab, stack) for _ in range(REPLICAS)]
        return _hit_rate(ports, lambda number: (ports[number % REPLICAS], {}))


def _replica(lab: Lab, stack: contextlib.ExitStack) -> int:
    port, log = free_port(), lab.path("fake.log")
    command = [sys.executable, "-m", "gateway.backends.fake", "--port", str(port), "--prefix-blocks", str(CACHE_BLOCKS)]
    process = stack.enter_context(running(command, core=None, log=log, cwd=ROOT))
    wait_for_port(process, port, log)
    return port


def _hit_rate(ports: list[int], place: Place) -> float:
    """Sends everything and asks the replicas how many prompt tokens they found in their caches, 0..1."""
    numbers = itertools.count()

    def send(messages: Turn) -> None:
        port, headers = place(next(numbers))
        body = json.dumps({"model": bodies.ALIAS, "messages": messages, "max_tokens": 8}).encode()
        _exchange(port, "POST", "/v1/chat/completions", body, headers)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for turn in turns_of(seed=11):
            list(pool.map(send, turn))  # a turn of all conversations before the next turn of any
    caches = [json.loads(_exchange(port, "GET", "/fake/stats", None, {}))["prefix_cache"] for port in ports]
    queried = sum(cache["queried_tokens"] for cache in caches)
    return float(sum(cache["hit_tokens"] for cache in caches) / queried)


def _exchange(port: int, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        content = answer.read()
    if answer.status != 200:
        raise BenchError(f"{path}: status {answer.status}: {content[:200]!r}")
    return content

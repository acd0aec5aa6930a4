"""What is made by API, looked at from a running gateway's callers."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

from tests.support.gateway_process import GatewayProcess, until


def in_force(gateway: GatewayProcess, count: int) -> None:
    """Waits until so many changes of entries are in force on every worker."""
    (*_, last) = gateway.until_event("entries_in_force", count)

    def has_it(slot: int) -> bool:
        told = gateway.events("worker_reloaded")
        return any((each["slot"], each["snapshot"]) == (slot, last["snapshot"]) for each in told)

    until(lambda: all(map(has_it, range(len(gateway.worker_pids())))), "every worker has the change")


def asked(gateway: GatewayProcess, key: str, times: int = 8, **more: Any) -> Counter[int]:
    """The answers to some requests, whichever worker gives them."""
    return Counter(gateway.chat(key=key, **more).status for _ in range(times))


def metric(gateway: GatewayProcess, name: str) -> float:
    """A gauge of the ops listener; `name` ends with a space."""
    text = gateway.request("GET", "/metrics", ops=True).body.decode()
    return float(next(line.split()[1] for line in text.splitlines() if line.startswith(name)))


@contextlib.contextmanager
def load(gateway: GatewayProcess, key: str, callers: int = 4) -> Iterator[list[int]]:
    """Callers that ask as fast as they are answered; the statuses of their answers, 0 for none, in the order of their
    ends."""
    statuses: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                statuses.append(gateway.chat(key=key).status)
            except OSError:
                statuses.append(0)

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        over.set()
        for thread in threads:
            thread.join()


def more(statuses: list[int], count: int = 40) -> list[int]:
    """The statuses of requests that begin from now on: those that run may be answered as they began."""
    begun = len(statuses) + 4
    until(lambda: len(statuses) >= begun + count, "more answers")
    return statuses[begun:]

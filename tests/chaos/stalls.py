"""How long the gateway's workers stood in line for a CPU, by the kernel's own count: on a machine that does much else a
worker cannot act in that time, and what happens meanwhile is not its fault."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

EVERY_S = 0.02
LOOKS_FOR_WORKERS = 25
"""Samples between two looks for workers that are new."""


class Stalls:
    """Watches from `start` to `stop`. On a kernel that does not count this nobody ever waited."""

    def __init__(self, workers: Callable[[], Sequence[int]]) -> None:
        self._workers = workers
        self._samples: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """From now on."""
        self._thread.start()

    def stop(self) -> None:
        """The last sample is taken when this returns."""
        self._ends.set()
        self._thread.join()

    def waited_s(self, journal: str, began_s: float, ended_s: float) -> float:
        """How long the worker that writes this journal waited between two moments of the monotonic clock, by the
        samples around them."""
        return waited_s(self._samples.get(journal, []), began_s, ended_s)

    def _run(self) -> None:
        number = 0
        journals: dict[int, str] = {}
        while not self._ends.wait(EVERY_S):
            if number % LOOKS_FOR_WORKERS == 0:
                with contextlib.suppress(OSError, ValueError):
                    journals = {pid: journal_of(pid) for pid in self._workers()}
            number += 1
            for pid, journal in journals.items():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    waited_ns = int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])
                    self._samples[journal].append((time.monotonic(), waited_ns / 1e9))


def journal_of(pid: int) -> str:
    """The name of the journal that a process writes; empty for none."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            path = descriptor.readlink()
            if path.name == "lock" and path.parent.parent.name == "journal":
                return path.parent.name
    return ""


def waited_s(samples: Sequence[tuple[float, float]], began_s: float, ended_s: float) -> float:
    """Of samples of a count that only grows, (moment, count): by how much it grew between two moments, at most."""
    if began_s >= ended_s:
        return 0.0
    before = [count for at_s, count in samples if at_s <= began_s][-1:]
    after = [count for at_s, count in samples if at_s >= ended_s][:1]
    within = [count for at_s, count in samples if began_s < at_s < ended_s]
    known = [*before, *within, *after]
    return known[-1] - known[0] if known else 0.0

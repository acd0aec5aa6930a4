"""Work that may wait: it gives way to whatever answers requests.

A process that reads journals does so in pieces of a few milliseconds. When it runs on the core of a worker, and is its
equal, Linux lets the worker wait for the end of such a piece (3 ms) whenever something comes for it: the slowest
hundredth of requests then takes milliseconds. A thread that has stepped back is put aside at once.

Not SCHED_IDLE, which lets in no more than this: while all cores are busy such a thread gets hardly a three-hundredth of
one, and it could never come back without a privilege. Ten steps leave it a tenth of a core at the least.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol, TypeVar

import msgspec

from gateway.clock import SystemClock
from gateway.runtime import library_logs
from gateway.telemetry.logs import Level, Log


class _Start(Protocol):
    @property
    def log_level(self) -> Level: ...


StartT = TypeVar("StartT", bound=_Start)
STEPS: Final = 10
"""How far it steps back, of the 19 there are."""


def step_back() -> None:
    """For the thread that calls, and for those that it starts. Where that is forbidden, nothing changes: what works
    here is a little more in the way, and that is all."""
    with contextlib.suppress(OSError):
        os.nice(STEPS)


def begun(kind: type[StartT], process: str) -> tuple[StartT, Log]:
    """How a process beside the workers begins: it leaves hang-ups of the terminal to the supervisor, steps back, and
    reads its one argument, a `kind` as JSON."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    step_back()
    start = msgspec.json.decode(sys.argv[1], type=kind)
    log = Log(SystemClock(), start.log_level, process=process)
    library_logs.forward(log)
    return start, log


def thread(name: str) -> ThreadPoolExecutor:
    """A thread that has stepped back; to be given work from an event loop that has not."""
    return ThreadPoolExecutor(1, thread_name_prefix=name, initializer=step_back)

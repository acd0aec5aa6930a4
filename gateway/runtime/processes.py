"""Child processes of the supervisor: started from its main thread, their ends noticed by SIGCHLD.

Not `asyncio.subprocess`: on Python 3.11 that starts a thread for each child, and its pipes are more than is needed
here. Children get their own process group, so that Ctrl-C in a terminal reaches the supervisor alone, which then stops
the others in order.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import gateway

FLAGS = ("-P",)
"""For every Python process of ours: the working directory is no place to import from, whatever files lie there."""


class Process:
    """One running child. `ended` is done, with the return code (negative: the signal), once the process is gone."""

    __slots__ = ("_popen", "ended", "started_s")

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.started_s = time.monotonic()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def output_fd(self) -> int | None:
        """The read end of what the child prints, when it was started `piped`, until it is closed."""
        output = self._popen.stdout
        return None if output is None or output.closed else output.fileno()

    @property
    def lived_s(self) -> float:
        return time.monotonic() - self.started_s

    def send(self, number: signal.Signals) -> None:
        """Sends a signal; nothing happens when the process has ended (its number is not reused before it was waited
        for)."""
        if not self.ended.done():
            self._popen.send_signal(number)

    def reap(self) -> bool:
        """True when the process has ended; then `ended` is done."""
        if not self.ended.done():
            code = self._popen.poll()
            if code is not None:
                self.ended.set_result(code)
        return self.ended.done()

    def close_output(self) -> None:
        """Closes our end of what the child prints."""
        if self._popen.stdout is not None:
            self._popen.stdout.close()

    async def stop(self, patience_s: float) -> int:
        """SIGTERM, then SIGKILL after `patience_s`; returns the return code."""
        self.send(signal.SIGTERM)
        await asyncio.wait([self.ended], timeout=patience_s)
        self.send(signal.SIGKILL)
        return await self.ended


class Processes:
    """All children of this process. One per process, made inside its event loop."""

    def __init__(self) -> None:
        self._running: set[Process] = set()
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._reap)

    def start(
        self,
        arguments: Sequence[str],
        *,
        pass_fds: Sequence[int] = (),
        piped: bool = False,
        environment: Mapping[str, str] | None = None,
        on_end: Callable[[int], None],
    ) -> Process:
        """Starts `sys.executable` with `arguments` and what `environment` adds to ours; `on_end` gets the return code.

        The child reads nothing. What it prints goes to our stderr, our own stdout being kept for the line that says the
        gateway is ready; or, `piped`, all of it to the pipe that `Process.output_fd` reads. Raises OSError.
        """
        popen = subprocess.Popen(
            [sys.executable, *FLAGS, *arguments],
            env=_environment() | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else 2,
            stderr=subprocess.STDOUT if piped else None,
            pass_fds=pass_fds,
            process_group=0,
        )
        process = Process(popen)
        process.ended.add_done_callback(lambda ended: on_end(ended.result()))
        self._running.add(process)
        return process

    def _reap(self) -> None:
        # One SIGCHLD may stand for several ends.
        self._running = {process for process in self._running if not process.reap()}


ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20)}
"""glibc's defaults give every block of a large body back to the kernel and fault it in again, page by page: a 1 MB body
cost 3.5 ms of CPU with them and 1.2 ms without. A process now keeps up to 128 MB that it once needed.
"""


def _environment() -> dict[str, str]:
    """Ours; from a source tree that is not installed, with the tree among the places to import from."""
    environment = ALLOCATOR | dict(os.environ)
    root = Path(gateway.__file__).parents[1]
    if root.name not in ("site-packages", "dist-packages"):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root), environment.get("PYTHONPATH", ""))))
    return environment


def describe_end(code: int) -> str:
    """`code 1`, or the signal's name."""
    if code >= 0:
        return f"code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"

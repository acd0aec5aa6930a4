"""Processes of the benchmark: started on one core, ended for sure, and their CPU and memory read from /proc.

CPU is what the scheduler counted in nanoseconds (`schedstat`), over every thread of every process of a tree, so a
supervisor that derives metrics from the journal is paid for as the worker is. Linux only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SERVER_CORE = 0
LOAD_CORE = min(1, (os.cpu_count() or 1) - 1)
SETTLE_S = 0.6  # longer than Lockgate rests between two looks into its journals (0.5 s)
SETTLED_NS = 20_000_000  # CPU of a tree in one SETTLE_S below which it is only ticking: an idle gateway takes half
SETTLE_LIMIT_S = 10.0


class BenchError(Exception):
    """A measurement that went wrong; the message says why and becomes the row's reason."""


class Missing(BenchError):
    """A measurement that this machine cannot make: something is not installed, or a limit is too low."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.contextmanager
def running(
    command: Sequence[str | Path],
    *,
    core: int | None,
    log: Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs `command` on `core` (None: any) with stdout in `log` and stderr in `log` + '.err'; ends it at the end."""
    with log.open("wb") as out, Path(f"{log}.err").open("wb") as err:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=cwd,
            env={**os.environ, **(environment or {})},
            # Before exec, so that no thread and no child ever runs elsewhere; the benchmark itself has one thread.
            preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL for whatever of its tree is left after ten seconds."""
    members = tree(process.pid) if process.poll() is None else []
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()


def wait_for_port(process: subprocess.Popen[bytes], port: int, log: Path, limit_s: float = 30) -> None:
    """Returns when `port` accepts a connection."""
    give_up = time.monotonic() + limit_s
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise BenchError(f"{process.args!r:.80} ended at start: {last_words(log)}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise BenchError(f"port {port} did not open in {limit_s:g} s: {last_words(log)}")


def wait_for_line(process: subprocess.Popen[bytes], log: Path, start: str, limit_s: float = 60) -> str:
    """The first line of `log` that starts with `start`, as soon as it is there (looked for every 2 ms)."""
    give_up = time.monotonic() + limit_s
    while time.monotonic() < give_up:
        ended = process.poll() is not None
        for line in log.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith(start) and line.endswith("\n"):
                return line.strip()
        if ended:
            raise BenchError(f"the server ended at start: {last_words(log)}")
        time.sleep(0.002)
    raise BenchError(f"no line {start!r} in {limit_s:g} s: {last_words(log)}")


def last_words(log: Path) -> str:
    """The end of what a process said, on one line, to explain a failure."""
    said = Path(f"{log}.err").read_text(errors="replace") + log.read_text(errors="replace")
    return " ".join(said.split())[-200:] or "it said nothing"


def tree(pid: int) -> list[int]:
    """`pid` and its living descendants, parents first."""
    members = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in children.read_text().split():
                members += tree(int(child))
    return members


def command_line(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    return []


def cpu_ns(pids: Sequence[int]) -> int:
    """Nanoseconds on the CPU so far of all threads of `pids`; threads that have ended are not counted."""
    total = 0
    for pid in pids:
        for stat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with contextlib.suppress(OSError):
                total += int(stat.read_text().split()[0])
    return total


def settle(pid: int) -> None:
    """Waits until the tree of `pid` does no more work (what it derives after the answers counts as theirs).

    A narrower bound is one that two idle workers pass by chance only: their ticking was then waited out for up to ten
    seconds, and counted as work of the requests before.
    """
    give_up = time.monotonic() + SETTLE_LIMIT_S
    before = cpu_ns(tree(pid))
    while time.monotonic() < give_up:
        time.sleep(SETTLE_S)
        after = cpu_ns(tree(pid))
        if after - before < SETTLED_NS:
            return
        before = after


def memory_mb(pid: int) -> dict[str, float]:
    """{'rss': …, 'pss': …} of one process in MB (10^6 bytes); PSS shares each page among those who map it."""
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name in ("Rss", "Pss"):
            sizes[name.lower()] = round(int(rest.split()[0]) * 1024 / 1e6, 1)
    return sizes

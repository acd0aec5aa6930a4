"""The workers: one process per slot, started, listened to, told, and replaced when it ends.

A slot keeps its listening socket for the life of the gateway; processes come and go behind it.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from collections.abc import Callable
from enum import StrEnum

import msgspec

from gateway.clock import wall_offset_ns, within
from gateway.runtime import connected
from gateway.runtime.backoff import Backoff
from gateway.runtime.control_channel import (
    BEAT_S,
    Beat,
    Channel,
    Crossed,
    Drain,
    FromWorker,
    Message,
    Ready,
    Reload,
    Reloaded,
    ReloadFailed,
)
from gateway.runtime.failures import StartFailed
from gateway.runtime.processes import Process, Processes, describe_end
from gateway.runtime.state_dir import StateDir
from gateway.telemetry.logs import Level, Log

START_PATIENCE_S = 120.0
"""How long all workers may take to become ready at the start of the gateway."""

SILENT_AFTER_S = 3 * BEAT_S
"""A worker not heard of for this long is not ready: its event loop is stuck."""

STUCK_AFTER_S = 30.0
"""A worker not heard of for this long is killed and replaced: it holds its callers and will not come back."""


class WorkerStart(msgspec.Struct, frozen=True):
    """What a worker is started with: the one argument of `python -m gateway.runtime.worker`, as JSON."""

    slot: int
    listen_fd: int
    control_fd: int
    state_dir: str
    digest: str
    log_level: Level
    meters: str
    """`stores.meters` as it was when the gateway started: all workers must ask the same store."""
    wall_offset_ns: int
    """What rolling windows count by: see `clock.SteadyClock`."""
    grpc: str | None = None
    """`host:port` to listen on for gRPC."""


class State(StrEnum):
    """Where a slot's process is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    ENDED = "ended"


class Worker:
    """One slot and the process that serves it now."""

    def __init__(self, slot: int, sock: socket.socket) -> None:
        self.slot = slot
        self.sock = sock
        self.state = State.ENDED
        self.process: Process | None = None
        self.channel: Channel | None = None
        self.digest = ""
        self.beat: Beat | None = None
        self.heard_s = 0.0
        self.backoff = Backoff()

    def send(self, message: Message) -> None:
        if self.channel is not None:
            self.channel.send(message)

    def signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send(number)

    @property
    def silent_s(self) -> float:
        return time.monotonic() - self.heard_s

    @property
    def serves(self) -> bool:
        return self.state is State.READY and self.silent_s < SILENT_AFTER_S


class Workers:
    """All slots. `on_serves(slot, started)` is called when a worker serves a configuration it did not serve before;
    `on_end(slot, pid)` is called when a process has ended, before it is replaced: its journal can be
    recovered."""

    def __init__(
        self,
        processes: Processes,
        state_dir: StateDir,
        sockets: list[socket.socket],
        log: Log,
        log_level: Level,
        meters: str,
        grpc: str | None,
        on_beat: Callable[[int, Beat], None],
        on_serves: Callable[[int, bool], None],
        on_end: Callable[[int, int], None],
        on_crossed: Callable[[Crossed], None],
    ) -> None:
        self.slots = [Worker(slot, sock) for slot, sock in enumerate(sockets)]
        self._processes = processes
        self._state_dir = state_dir
        self._log = log
        self._log_level = log_level
        self._meters = meters
        self._grpc = grpc
        self._wall_offset_ns = wall_offset_ns()
        self._on_beat = on_beat
        self._on_serves = on_serves
        self._on_end = on_end
        self._on_crossed = on_crossed
        self._loop = asyncio.get_running_loop()
        self._all_ready: asyncio.Future[None] = self._loop.create_future()
        self._digest = ""
        self._draining = False
        self._looked_s = 0.0

    def start(self, digest: str) -> None:
        """Starts a process for every slot, under configuration `digest`."""
        self._digest = digest
        for worker in self.slots:
            self._start(worker)
        self._looked_s = time.monotonic()
        self._loop.call_later(BEAT_S, self._look_for_stuck)

    async def ready(self) -> None:
        """Returns when every worker serves; raises `StartFailed` when one ended before it did, or after
        `START_PATIENCE_S`."""
        try:
            await within(asyncio.shield(self._all_ready), START_PATIENCE_S)
        except TimeoutError:
            late = ", ".join(str(worker.slot) for worker in self.slots if worker.state is not State.READY)
            raise StartFailed(f"worker {late} was not ready after {START_PATIENCE_S:.0f} s") from None

    def reload(self, digest: str) -> None:
        """Tells every worker to swap in `digest`; workers that start from now on begin with it."""
        self._digest = digest
        for worker in self.slots:
            worker.send(Reload(digest))

    def stale(self) -> list[int]:
        """The slots that serve another configuration than the one told last."""
        return [worker.slot for worker in self.slots if worker.state is State.READY and worker.digest != self._digest]

    def agree(self) -> bool:
        """Every worker serves, and the configuration told last."""
        return all(worker.state is State.READY and worker.digest == self._digest for worker in self.slots)

    def close_sockets(self) -> None:
        """Gives up our copies of the listening sockets: once the workers close theirs, the port is free."""
        for worker in self.slots:
            worker.sock.close()

    def drain(self) -> None:
        """Tells every worker to finish; none is replaced from now on."""
        self._draining = True
        if not self._all_ready.done():
            self._all_ready.cancel()
        for worker in self.slots:
            worker.state = State.DRAINING if worker.state is not State.ENDED else State.ENDED
            worker.send(Drain())
            worker.signal(signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to every running worker."""
        for worker in self.slots:
            worker.signal(number)

    async def ended(self, patience_s: float) -> bool:
        """Waits for all workers to end, at most `patience_s`; False when some still run."""
        running = [worker.process.ended for worker in self.slots if worker.process is not None]
        if not running:
            return True
        _, late = await asyncio.wait(running, timeout=patience_s)
        return not late

    def _start(self, worker: Worker) -> None:
        if self._draining:
            return
        channel = Channel(FromWorker, lambda message: self._heard(worker, process, message), lambda: None)
        try:
            process = connected.start(
                self._processes,
                "gateway.runtime.worker",
                lambda control_fd: self._what(worker, control_fd),
                channel,
                on_end=lambda code: self._ended(worker, process, code),
                pass_fds=(worker.sock.fileno(), self._state_dir.lock_fd),
            )
        except OSError as error:
            self._log.error("worker_start_failed", slot=worker.slot, error=str(error))
            self._loop.call_later(worker.backoff.ended(0.0) or 1.0, self._start, worker)
            return
        worker.process, worker.channel = process, channel
        worker.state = State.STARTING
        worker.digest = ""
        worker.beat = None
        worker.heard_s = time.monotonic()

    def _what(self, worker: Worker, control_fd: int) -> WorkerStart:
        return WorkerStart(
            slot=worker.slot,
            listen_fd=worker.sock.fileno(),
            control_fd=control_fd,
            state_dir=str(self._state_dir.path),
            digest=self._digest,
            log_level=self._log_level,
            meters=self._meters,
            wall_offset_ns=self._wall_offset_ns,
            grpc=self._grpc,
        )

    def _heard(self, worker: Worker, process: Process, message: FromWorker) -> None:
        if worker.process is not process:  # the last words of a predecessor
            return
        worker.heard_s = time.monotonic()
        match message:
            case Ready(digest):
                worker.digest = digest
                if not self._draining:
                    worker.state = State.READY
                self._log.info("worker_ready", slot=worker.slot, pid=process.pid, snapshot=digest)
                if digest != self._digest:  # told while it started
                    worker.send(Reload(self._digest))
                if not self._all_ready.done() and all(each.state is State.READY for each in self.slots):
                    self._all_ready.set_result(None)
                self._on_serves(worker.slot, True)
            case Reloaded(digest):
                worker.digest = digest
                self._log.info("worker_reloaded", slot=worker.slot, snapshot=digest)
                self._on_serves(worker.slot, False)
            case ReloadFailed(digest, reason):
                self._log.error("worker_reload_failed", slot=worker.slot, snapshot=digest, reason=reason)
            case Beat():
                worker.beat = message
                self._on_beat(worker.slot, message)
            case Crossed():
                self._on_crossed(message)

    def _ended(self, worker: Worker, process: Process, code: int) -> None:
        was = worker.state
        worker.state = State.ENDED
        if worker.channel is not None:
            worker.channel.close()
            worker.channel = None
        say = self._log.info if was is State.DRAINING and code == 0 else self._log.error
        say(
            "worker_ended",
            slot=worker.slot,
            pid=process.pid,
            end=describe_end(code),
            lived_s=round(process.lived_s, 3),
        )
        try:
            self._on_end(worker.slot, process.pid)
        finally:
            if not self._draining:
                self._replace(worker, process, was, code)

    def _replace(self, worker: Worker, process: Process, was: State, code: int) -> None:
        if was is State.STARTING and not self._all_ready.done():
            # At the start of the gateway this is a fault of the installation or the configuration: say so instead of
            # trying on.
            self._all_ready.set_exception(
                StartFailed(
                    f"worker {worker.slot} ended with {describe_end(code)} before it was ready; its own lines say why"
                )
            )
            return
        delay_s = worker.backoff.ended(process.lived_s)
        if delay_s:
            self._log.warning("worker_restart_waits", slot=worker.slot, delay_s=delay_s)
        self._loop.call_later(delay_s, self._start, worker)

    def _look_for_stuck(self) -> None:
        now_s = time.monotonic()
        # When we ourselves stood still (a paused container), the workers' beats are there and only not read yet.
        in_time = now_s - self._looked_s < 2 * BEAT_S
        self._looked_s = now_s
        for worker in self.slots:
            if in_time and worker.state is State.READY and worker.silent_s > STUCK_AFTER_S:
                self._log.error("worker_stuck", slot=worker.slot, silent_s=round(worker.silent_s, 1))
                worker.signal(signal.SIGKILL)
        if not self._draining:
            self._loop.call_later(BEAT_S, self._look_for_stuck)

"""A worker: one process, one event loop, one listening socket, the data plane. `python -m gateway.runtime.worker
START`.

It serves until the supervisor says drain, a SIGTERM comes, or the supervisor is gone; then it takes nothing new, lets
running requests end within `limits.drain_s`, and ends. A second SIGTERM cuts what runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import os
import signal
import socket
import sys
from pathlib import Path
from random import Random

import msgspec
import uvloop

from gateway.backends import probe
from gateway.backends.base import RULES, Endpoint
from gateway.clock import SteadyClock, SystemClock, within
from gateway.config import archive, snapshot
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.leasing import Leasing
from gateway.dataplane.server import protocol
from gateway.errors import ConfigError
from gateway.offload.client import CheckClient
from gateway.policy.leases import Bucket
from gateway.runtime import library_logs, meter_stores, state_dir, worker_gauges
from gateway.runtime.classic_models import Sessions
from gateway.runtime.contents import Contents
from gateway.runtime.control_channel import (
    BEAT_S,
    Beat,
    Channel,
    Crossed,
    Drain,
    FromSupervisor,
    Ready,
    Reload,
    Reloaded,
    ReloadFailed,
)
from gateway.runtime.endpoint_events import EndpointEvents
from gateway.runtime.grpc_listener import GrpcListener
from gateway.runtime.hosting import server
from gateway.runtime.loop_lag import LoopLag
from gateway.runtime.measuring import Measuring
from gateway.runtime.upstreams import Upstreams
from gateway.runtime.workers import WorkerStart
from gateway.store.ids import RequestIds
from gateway.store.journal import Journal
from gateway.store.meters import MeterStoreDown
from gateway.store.span_spool import Spool
from gateway.telemetry.logs import Log

TICK_S = 0.25
"""How often deadlines are looked at."""

GRANT_LOOK_EVERY_S = 0.1
GRANT_LOOKS = 100
"""How often a worker that starts looks whether the store of the meters grants, before it serves anyhow."""

GIVE_BACK_PATIENCE_S = 5.0
"""How long the store of the meters may take at the end."""

CUT_PATIENCE_S = 2.0
"""How long cut requests may take to close their records."""


class BugLog:
    """Where the data plane tells of its bugs."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def bug(self, request_id: str, error: BaseException) -> None:
        """Never content: the request's id and the traceback."""
        self._log.bug("request_bug", error, request_id=request_id)


class Worker:
    """What runs in the process, joined."""

    def __init__(self, start: WorkerStart, log: Log) -> None:
        """Reads the archived configuration and opens the journal. Raises ConfigError, OSError."""
        self._start = start
        self._state_dir = Path(start.state_dir)
        self._loop = asyncio.get_running_loop()
        self._log = log
        self._lag = LoopLag()
        self._upstreams = Upstreams(self._state_dir)
        self._endpoint_events = EndpointEvents(log)
        self._measuring = Measuring(log)
        config = archive.read(self._state_dir, start.digest)
        compiled = snapshot.compile(config, start.digest)
        compiled.make_chains()
        self._sessions = Sessions(log)
        clock = SystemClock()
        self._journal = Journal.create(self._state_dir, start.slot, clock)
        owner = state_dir.owner(self._state_dir, self._journal.directory.name)
        self._store = meter_stores.open_store(start.meters, self._state_dir, owner)
        self._leasing = Leasing(self._store, owner, SteadyClock(start.wall_offset_ns), lambda: self._journal.position)
        self._leasing.on_crossed = self._crossed
        self._checks = CheckClient(state_dir.checks_socket(self._state_dir))
        self._gateway = Gateway(
            snapshot=compiled,
            backends=self._upstreams.build(config),
            journal=self._journal,
            ids=RequestIds(os.urandom(5)),
            clock=clock,
            random=Random(),
            secret=state_dir.secret(self._state_dir),
            bugs=BugLog(log),
            classic=self._sessions.load_what_can_be(compiled.classic),
            leasing=self._leasing,
            checks=self._checks,
            spool=Spool(self._state_dir, start.slot),
        )
        self._contents = Contents(self._state_dir, start.slot, clock, log)
        self._gateway.contents = self._contents.of(compiled)
        self._channel = Channel(FromSupervisor, self._told, self.drain)
        self._server = server(
            protocol(self._gateway), graceful_s=config.server.limits.drain_s, on_started=self._started
        )
        self._grpc = GrpcListener()
        self._told_to_end = False
        self._reloading = asyncio.Lock()
        self._reloads: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serves until it has drained."""
        control = socket.socket(fileno=self._start.control_fd)
        await self._loop.create_unix_connection(lambda: self._channel, sock=control)
        self._loop.add_signal_handler(signal.SIGTERM, self._terminated)
        self._loop.add_signal_handler(signal.SIGINT, self._terminated)
        self._lag.start()
        self._tick()
        background = [self._loop.create_task(self._probe())]
        try:
            await self._until_granted()
            await self._measuring.at_once(self._gateway.backends, self._gateway.snapshot)
            background.append(self._loop.create_task(self._measuring.watch(self._gateway)))
            if self._start.grpc is not None:
                await self._grpc.start(self._gateway, self._start.grpc)
            await self._server.serve([socket.socket(fileno=self._start.listen_fd)])
            await self._grpc.ended()
            await _cut_running(self._gateway)
        finally:
            for task in background:
                task.cancel()
            self._checks.close()
            await self._give_back()
            self._journal.stop()
            self._contents.stop()

    async def _until_granted(self) -> None:
        """Waits a little for a store that was restarted, and grants nothing until the keeper has looked at it: the
        first callers are better kept waiting than sent away."""
        for _ in range(GRANT_LOOKS):
            with contextlib.suppress(MeterStoreDown):
                if await self._leasing.granted():
                    return
            await asyncio.sleep(GRANT_LOOK_EVERY_S)

    async def _give_back(self) -> None:
        """What this worker holds of meters and did not spend. What the store does not take in time the keeper gives
        back, from the journal."""
        try:
            await within(self._leasing.stop(), GIVE_BACK_PATIENCE_S)
        except TimeoutError:
            self._log.warning("leases_not_given_back")
        await self._store.close()

    def drain(self) -> None:
        """Asked for by the supervisor, by a signal, or by the supervisor's end."""
        if not self._gateway.draining:
            self._gateway.draining = True
            # The limit in force now, which a reload may have changed since the start.
            drain_s = self._gateway.snapshot.limits.drain_s
            self._server.config.timeout_graceful_shutdown = math.ceil(drain_s)
            self._server.finish()
            self._grpc.finish(drain_s)

    def _terminated(self) -> None:
        # The supervisor says Drain and sends SIGTERM, so that either would do; only a SIGTERM after a SIGTERM means
        # hurry.
        if self._told_to_end:
            self._server.finish_now()
            self._grpc.finish(0.0)
        self._told_to_end = True
        self.drain()

    def _started(self) -> None:
        # What lives now lives to the end: the collector need not walk over it again and again.
        gc.collect()
        gc.freeze()
        self._channel.send(Ready(self._gateway.snapshot.digest))
        self._beat()

    def _told(self, message: FromSupervisor) -> None:
        match message:
            case Drain():
                self.drain()
            case Reload(digest):
                task = self._loop.create_task(self._reload(digest))
                self._reloads.add(task)
                task.add_done_callback(self._reloads.discard)

    async def _reload(self, digest: str) -> None:
        async with self._reloading:  # in the order they were told
            try:
                # In a thread: a hundred thousand keys take a while to decode.
                old = self._gateway.snapshot
                new = await asyncio.to_thread(_read, self._state_dir, digest, old)
                classic = await asyncio.to_thread(self._sessions.load, new.classic)
                backends = self._upstreams.build(new.config)
            except Exception as error:  # noqa: BLE001 (whatever it is, what we have still serves)
                self._channel.send(ReloadFailed(digest, f"{type(error).__name__}: {error}"))
                return
            await self._measuring.at_once(backends, new)
            self._gateway.contents = await asyncio.to_thread(self._contents.of, new)
            self._gateway.reload(new, backends, classic)
            if new.shared is not old.shared:  # a whole one: as at the start
                gc.freeze()
            self._channel.send(Reloaded(digest))

    async def _probe(self) -> None:
        while True:
            try:
                await probe.watch(lambda: self._gateway.backends, self._worth_a_probe, self._probed)
            except Exception as error:  # noqa: BLE001 (without probes endpoints come back later, but they do)
                self._log.bug("probe_bug", error)
                await asyncio.sleep(probe.EVERY_S)

    def _worth_a_probe(self, endpoint: Endpoint) -> bool:
        """An endpoint that is new, that fails, or that nobody asked for a while: from the others we hear anyway."""
        if self._upstreams.starting(endpoint):
            return False
        if self._endpoint_events.new(endpoint) or endpoint.health.state != "closed":
            return True
        return self._loop.time() - endpoint.heard_s >= RULES.window_s

    def _probed(self, endpoint: Endpoint, problem: str | None) -> None:
        endpoint.probed(problem is None, self._loop.time())
        self._endpoint_events.probed(endpoint, problem)
        if problem is not None:
            self._measuring.away(endpoint)

    def _beat(self) -> None:
        self._loop.call_later(BEAT_S, self._beat)
        gauges = worker_gauges.read(self._gateway).flat()
        self._endpoint_events.look(self._gateway.backends)
        self._channel.send(Beat(self._gateway.snapshot.digest, gauges, self._lag.worst_ms()))

    def _crossed(self, bucket: Bucket, amount: int) -> None:
        """A share of a meter is used that is to be warned of."""
        meter = bucket.meter
        permille = next((each.permille for each in meter.at if each.amount == amount), 0)
        self._channel.send(Crossed(bucket.key, meter.quantity, permille, amount, meter.stated_cap))

    def _tick(self) -> None:
        self._loop.call_later(TICK_S, self._tick)
        self._gateway.tick(self._loop.time())


def _read(state_dir: Path, digest: str, now: snapshot.Snapshot) -> snapshot.Snapshot:
    """The snapshot of that digest, with its chains; for the cost of what changed where that is a patch of the one there
    is now."""
    found = archive.read_one(state_dir, digest)
    if isinstance(found, archive.Patch) and now.digest in (found.base, found.also):
        made = snapshot.patched(now, found.changes, digest)
    else:
        whole = archive.read(state_dir, digest) if isinstance(found, archive.Patch) else found
        made = snapshot.compile(whole, digest)
    made.make_chains()
    return made


async def _cut_running(gateway: Gateway) -> None:
    """Cancels what still runs, which closes its records, and waits a little for that."""
    gateway.cut()
    loop = asyncio.get_running_loop()
    until_s = loop.time() + CUT_PATIENCE_S
    # Handlers are no tasks that could be waited for; metered streams still read what was made of them.
    while gateway.in_flight and loop.time() < until_s:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    running = asyncio.all_tasks() - {asyncio.current_task()}
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=CUT_PATIENCE_S)


async def _run(start: WorkerStart, log: Log) -> None:
    await Worker(start, log).run()


def main() -> int:
    """The process. Its one argument is a `WorkerStart` as JSON."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a reload is the supervisor's business
    start = msgspec.json.decode(sys.argv[1], type=WorkerStart)
    log = Log(SystemClock(), start.log_level, process="worker", slot=start.slot)
    library_logs.forward(log)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(start, log))
    except (ConfigError, OSError) as error:
        log.error("worker_failed", error=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

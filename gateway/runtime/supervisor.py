"""The supervisor: the process that `lockgate serve` starts, and the parent of all others.

It holds the configuration, the sockets and the state directory; starts children and workers and replaces them when they
end; follows the journals; serves the ops listener; reloads and drains. It handles no request. An exception in one of
its jobs is logged and the job goes on: traffic must not end because a log line could not be written.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

from gateway.clock import SystemClock
from gateway.config import archive
from gateway.config.model import Config, Limits, Overrides, Retries
from gateway.errors import ConfigError
from gateway.runtime import (
    configuration,
    library_logs,
    listeners,
    meter_stores,
    ops,
    overlaying,
    resources,
    sockets,
    watch,
)
from gateway.runtime.checking import Checking
from gateway.runtime.children import Children
from gateway.runtime.configuration import Loaded
from gateway.runtime.control_channel import Beat, Crossed
from gateway.runtime.controlling import Controlling
from gateway.runtime.exporting import Exporting
from gateway.runtime.failures import StartFailed
from gateway.runtime.in_force import InForce
from gateway.runtime.jobs import Jobs
from gateway.runtime.journals import Journals
from gateway.runtime.keeping import Keeping
from gateway.runtime.listeners import Listeners
from gateway.runtime.loop_lag import LoopLag
from gateway.runtime.overlaying import Overlaying
from gateway.runtime.processes import Processes
from gateway.runtime.reloading import Reloading
from gateway.runtime.state_dir import Addresses, StateDir
from gateway.runtime.webhook import Webhook, notice
from gateway.runtime.workers import State, Workers
from gateway.telemetry.logs import Log, Timestamps
from gateway.telemetry.release import version
from gateway.telemetry.status import ChecksStatus

DRAIN_MARGIN_S = 5.0
"""What workers get beyond `limits.drain_s` to close what they cut."""

CUT_PATIENCE_S = 3.0
"""What workers get after a second signal, before they are killed."""

RELOAD_PATIENCE_S = 30.0
"""After this long a worker that still serves the old configuration is reported."""


class Supervisor:
    """One gateway from start to end: `run` it once."""

    def __init__(self, folder: Path, overrides: Overrides, on_ready: Callable[[str], None]) -> None:
        self._folder = folder
        self._overrides = overrides
        self._on_ready = on_ready
        self._loop = asyncio.get_running_loop()
        self._lag = LoopLag()
        self._lag_ms: float | None = None
        self._stop_asked = asyncio.Event()
        self._hurry = asyncio.Event()
        self._reload_asked = asyncio.Event()

    async def run(self) -> None:
        """Serves until SIGTERM or SIGINT. Raises ConfigError or StartFailed when it cannot start, with nothing left
        running."""
        self._known_files = watch.fingerprint(self._folder)
        files = configuration.read(self._folder, self._overrides)
        config = files.config
        self._log = Log(SystemClock(), config.telemetry.log_level, process="supervisor")
        library_logs.forward(self._log)
        self._jobs = Jobs(self._log)
        self._open_files = resources.raise_open_files_limit()
        self._state = StateDir.take(Path(config.server.state_dir))
        try:
            await self._serve(files)
        finally:
            self._state.release()

    async def _serve(self, files: Loaded) -> None:
        config = files.config
        try:
            held = await self._open(files)
        except (StartFailed, ConfigError):
            self._state.undo()
            raise
        self._make(config, held)
        self._listen_for_signals()
        try:
            self._start(held)
            await self._until_stopped(config, held)
        finally:
            await self._end(config)
            await self._jobs.stop()
            await self._overlaying.close()
            held.close()

    # -- start ---------------------------------------------------------------------------------------------------------

    async def _open(self, files: Loaded) -> Listeners:
        """All that can keep a gateway from starting, before anything is started: stores, sockets, the configuration.
        Raises StartFailed or ConfigError."""
        config = files.config
        self._journals = Journals(self._state.path, version(), self._log, access_log=config.telemetry.access_log)
        status = self._journals.status
        self._reloading = Reloading(
            self._folder, self._overrides, self._state.path, self._log, status, self._config_changed
        )
        await meter_stores.check(config.stores.meters, self._state.path, "supervisor")
        workers = resources.usable_cpus() if config.server.workers == "auto" else config.server.workers
        held = listeners.opened(config, workers)
        store = overlaying.open_written(config.stores.control, self._state.path)
        self._overlaying = Overlaying(store, self._state.path, self._log, status.control)
        self._reloading.begin(files, await self._overlaying.begin())
        return held

    def _make(self, config: Config, held: Listeners) -> None:
        """The parts that run processes; none is started."""
        processes = Processes()
        log_level, meters = config.telemetry.log_level, config.stores.meters
        status = self._journals.status
        self._webhook = Webhook(self._log)
        self._children = Children(processes, self._state, self._log)
        self._keeping = Keeping(processes, self._state, self._log, log_level, config.stores, status)
        self._checking = Checking(processes, self._state, self._log, log_level, status.checks)
        self._exporting = Exporting(processes, self._state, self._log, log_level, status.spans)
        self._controlling = Controlling(
            processes, self._folder, self._overrides, self._state.path, config, self._log, status.control
        )
        self._workers = Workers(
            processes,
            self._state,
            held.data,
            self._log,
            log_level,
            meters,
            held.grpc_address(),
            on_beat=self._heard,
            on_serves=self._worker_serves,
            on_end=self._worker_ended,
            on_crossed=self._meter_crossed,
        )

    def _listen_for_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._asked_to_stop)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload_asked.set)

    def _start(self, held: Listeners) -> None:
        """The workers, and what runs beside them."""
        self._lag.start()
        self._workers.start(self._reloading.now.digest)
        self._jobs.once("ops", lambda: self._serve_ops(held.ops))
        self._keeping.start(self._reloading.now.digest)
        self._exporting.take(self._reloading.now.config, self._reloading.now.digest)
        self._jobs.once("recovery", self._recover)  # of a run that did not end well
        self._jobs.keep("journals", self._journals.follow)
        self._jobs.keep("tidy", self._journals.tidy)
        self._jobs.keep("webhook", self._webhook.run)
        self._jobs.keep("overlay", lambda: self._overlaying.follow(self._reloading.take))
        self._jobs.keep("mirror", self._overlaying.mirror)

    async def _until_stopped(self, config: Config, held: Listeners) -> None:
        starting = asyncio.ensure_future(self._started(config))
        stopping = asyncio.ensure_future(self._stop_asked.wait())
        await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()  # raises what kept it from starting
            self._ready(config, held)
            self._controlling.start(held.control, sockets.url_of(held.ops))
            await stopping
        starting.cancel()
        stopping.cancel()

    async def _started(self, config: Config) -> None:
        await asyncio.gather(
            self._children.start(config.backends),
            self._workers.ready(),
            self._checking.begin(self._reloading.now.config, self._reloading.now.digest),
        )

    def _ready(self, config: Config, held: Listeners) -> None:
        data_url, ops_url = sockets.url_of(held.data[0]), sockets.url_of(held.ops)
        self._state.publish(
            Addresses(
                pid=os.getpid(),
                data=data_url,
                ops=ops_url,
                grpc=held.grpc_address(),
                meters=config.stores.meters,
                config=str(self._folder.absolute()),
                control=held.control_url(),
                control_store=config.stores.control,
            )
        )
        self._log.info(
            "ready",
            bind=config.server.bind,
            data=data_url,
            ops=ops_url,
            grpc=held.grpc_address(),
            workers=len(self._workers.slots),
            state_dir=str(self._state.path),
            snapshot=self._reloading.now.digest,
            backends={name: type(backend).__name__.lower() for name, backend in config.backends.items()},
            models=len(config.models),
            tenants=len(config.tenants),
            keys=sum(len(tenant.keys) for tenant in config.tenants.values()),
            limits=_in_words(config.server.limits),
            retries=_in_words(config.server.retries),
            open_files=self._open_files,
        )
        self._on_ready(data_url)
        self._jobs.keep("reload", self._reload_when_asked)
        self._jobs.keep("watch", self._watch_files)

    async def _serve_ops(self, listener: socket.socket) -> None:
        # uvicorn takes a while to import: done here, while the workers start, it delays nobody.
        from gateway.runtime.hosting import server

        ops_server = server("httptools", app=ops.app(self), graceful_s=0.0)
        try:
            await ops_server.serve([listener])
        finally:
            for each in getattr(ops_server, "servers", ()):  # cancelled: it did not get to closing them
                each.close()

    # -- what runs beside ----------------------------------------------------------------------------------------------

    def _heard(self, slot: int, beat: Beat) -> None:
        self._lag_ms = self._lag.worst_ms()
        self._journals.heard(slot, beat)

    def _worker_serves(self, slot: int, started: bool) -> None:
        status = self._journals.status
        if started:
            status.worker(slot).started()
        digest = self._reloading.now.digest
        if self._workers.agree() and status.digest != digest:
            if status.digest:
                self._log.info("config_in_force", snapshot=digest)
            status.configured(digest)

    def _worker_ended(self, slot: int, pid: int) -> None:
        self._journals.status.worker(slot).ended()
        self._jobs.once("recovery", self._recover)

    def _meter_crossed(self, crossed: Crossed) -> None:
        said = notice(crossed, Timestamps().format(time.time_ns()))
        self._journals.status.warned(said.quantity)
        self._log.warning(
            said.event, bucket=said.bucket, quantity=said.quantity, share=said.share, used=said.used, cap=said.cap
        )
        config = archive.resolve_secrets(self._reloading.now.config, os.environ)
        if config.telemetry.webhook is not None:
            self._webhook.send(config.telemetry.webhook, said)

    async def _recover(self) -> None:
        await self._journals.recover()
        self._keeping.look()  # what the worker held from meters can be given back

    # -- reload --------------------------------------------------------------------------------------------------------

    async def _watch_files(self) -> None:
        async for seen in watch.changes(self._folder, self._known_files):
            self._known_files = seen
            self._reload_asked.set()

    async def _reload_when_asked(self) -> None:
        while True:
            await self._reload_asked.wait()
            self._reload_asked.clear()
            if not self._stop_asked.is_set():
                await self._reloading.read_files(self._children)

    def _config_changed(self, before: InForce) -> None:
        """Another configuration is in force: for the workers from the next request on."""
        now = self._reloading.now
        self._workers.reload(now.digest)
        self._keeping.reload(now.digest)
        self._exporting.take(now.config, now.digest)
        self._jobs.once("checks", lambda: self._checking.take(now.config, now.digest))
        if now.files is not before.files:
            drain_s = before.config.server.limits.drain_s
            self._jobs.once("report", self._report_stale)
            self._jobs.once("retire", lambda: self._children.retire(now.config.backends, drain_s))

    async def _report_stale(self) -> None:
        await asyncio.sleep(RELOAD_PATIENCE_S)
        stale = self._workers.stale()
        if stale:
            self._log.error("workers_stale", slots=stale, snapshot=self._reloading.now.digest)

    # -- end -----------------------------------------------------------------------------------------------------------

    def _asked_to_stop(self) -> None:
        if self._stop_asked.is_set():
            self._hurry.set()
        self._stop_asked.set()

    async def _end(self, config: Config) -> None:
        drain_s = self._reloading.now.config.server.limits.drain_s
        self._log.info("draining", drain_s=drain_s)
        self._workers.drain()
        self._workers.close_sockets()
        hurry = asyncio.ensure_future(self._hurry.wait())
        ended = asyncio.ensure_future(self._workers.ended(drain_s + DRAIN_MARGIN_S))
        await asyncio.wait((hurry, ended), return_when=asyncio.FIRST_COMPLETED)
        hurry.cancel()
        if not (ended.done() and ended.result()):
            self._workers.signal(signal.SIGTERM)  # their second: cut what runs
            if not await self._workers.ended(CUT_PATIENCE_S):
                self._log.error("workers_killed")
                self._workers.signal(signal.SIGKILL)
                await self._workers.ended(CUT_PATIENCE_S)
        with contextlib.suppress(asyncio.CancelledError):
            await ended
        await self._children.stop()
        await self._checking.stop()
        await self._controlling.stop()
        await self._journals.finish()
        await asyncio.gather(self._keeping.stop(), self._exporting.stop())
        self._log.info("ended")

    # -- ops.Status ----------------------------------------------------------------------------------------------------

    def metrics(self, accept: str) -> tuple[str, bytes]:
        """See `ops.Status`."""
        self._keeping.told()
        return self._journals.scrape(accept)

    def readiness(self) -> ops.Readiness:
        """See `ops.Status`."""
        workers = self._workers
        draining = self._stop_asked.is_set()
        return ops.Readiness(
            ready=not draining and all(worker.serves for worker in workers.slots),
            draining=draining,
            snapshot=self._reloading.now.digest,
            workers={
                str(worker.slot): "silent" if worker.state is State.READY and not worker.serves else str(worker.state)
                for worker in workers.slots
            },
            stale=workers.stale(),
            config_reload_failed=not self._journals.status.config_ok,
            checks=_in_a_word(self._journals.status.checks),
            checks_missing=self._journals.status.checks.missing,
        )

    def loop_lag_ms(self) -> dict[str, float | None]:
        """See `ops.Status`."""
        lags: dict[str, float | None] = {"supervisor": self._lag_ms}
        for worker in self._workers.slots:
            lags[f"worker-{worker.slot}"] = None if worker.beat is None else worker.beat.loop_lag_ms
        return lags


def _in_a_word(checks: ChecksStatus) -> str:
    return ("ready" if checks.up else "away") if checks.wanted else "off"


def _in_words(section: Limits | Retries) -> str:
    """`body=20000000 header=32000 …`."""
    return " ".join(f"{name}={getattr(section, name):.15g}" for name in section.__struct_fields__)


def run(folder: Path, overrides: Overrides, on_ready: Callable[[str], None]) -> None:
    """Runs a gateway in this process until it is told to stop; `on_ready` gets the data listener's URL once it serves.

    Raises ConfigError or StartFailed when it cannot start.
    """

    async def main() -> None:
        await Supervisor(folder, overrides, on_ready).run()

    asyncio.run(main())

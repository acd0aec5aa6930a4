"""The supervisor's side of the check process: starts it once some chain asks for what it answers, tells it of other
chains, starts it again when it ends. While it is away, checks that ask it fail, and chains say what follows from that.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import msgspec

from gateway.config import snapshot_chains
from gateway.config.model import Config
from gateway.config.places import Finding
from gateway.offload import masks
from gateway.offload.tally import KINDS, LOADED
from gateway.runtime import connected
from gateway.runtime.control_channel import BEAT_S, Alive, Load, Loaded
from gateway.runtime.processes import Processes
from gateway.runtime.state_dir import StateDir
from gateway.telemetry.logs import Level, Log
from gateway.telemetry.status import ChecksStatus

START_PATIENCE_S = 30.0
"""How long a gateway that starts waits for it."""
SILENT_BEATS = 30
"""After so many seconds in which it said nothing it is killed, and started again …"""
SILENT_BEATS_AT_START = 120
"""… or so many before its first word: it has libraries to read."""
STOP_PATIENCE_S = 2.0
"""It has nothing to finish: no worker is left."""


class CheckStart(msgspec.Struct, frozen=True):
    """What the check process is started with: the one argument of `python -m gateway.runtime.checker`, as JSON."""

    control_fd: int
    state_dir: str
    load: Load
    log_level: Level


def asked(config: Config) -> set[tuple[str, str]]:
    """What a configuration may ask of the check process: kinds and names, for its chains."""
    chains = (snapshot_chains.made(name, entries) for name, entries in config.chains.items())
    made = list(chains)
    needs = {need for chain in made for need in chain.asks if need[0] in KINDS}
    if any(chain.reverses for chain in made) and snapshot_chains.keeps_responses(config.backends.values()):
        needs.add((masks.KIND, ""))
    return needs


def missing(config: Config) -> Iterator[Finding]:
    """What of that cannot be loaded here. Loads it."""
    from gateway.offload.models import Models  # for `lockgate check` alone: a supervisor does without
    from gateway.runtime.check_loaders import LOADERS

    models = Models(LOADERS)
    for name, entries in config.chains.items():
        asks = (need for need in snapshot_chains.made(name, entries).asks if need[0] in LOADED)
        for told in models.load(asks):
            yield Finding(
                ("chains", name), f"asks for what is not here, and its failure modes say what follows: {told}"
            )


class Checking:
    """The check process, for the life of the gateway. One that hangs is killed after `silent_beats` seconds."""

    def __init__(
        self,
        processes: Processes,
        state_dir: StateDir,
        log: Log,
        log_level: Level,
        status: ChecksStatus,
        silent_beats: int = SILENT_BEATS,
    ) -> None:
        self._state_dir = state_dir
        self._log = log
        self._log_level = log_level
        self._status = status
        self._load = Load("", ())
        self._written: object = None
        """The sections of the configuration that say what it is to answer."""
        self._taking = asyncio.Lock()
        self._loaded = asyncio.Event()
        self._lasting = connected.Lasting(
            processes, log, "checks", "gateway.runtime.checker", self._what, Alive | Loaded, self._heard, self._away
        )
        self._silent_beats = silent_beats
        self._beats_left = SILENT_BEATS_AT_START
        self._ticking: asyncio.TimerHandle | None = None

    async def take(self, config: Config, digest: str) -> None:
        """Another configuration is in force."""
        async with self._taking:  # in the order they were told
            written = (config.chains, config.webhooks)
            if written == self._written:
                return  # what is made by API changes several times a second
            self._written = written
            # In a thread: chains that are not at hand take a while to be made.
            self._load = Load(digest, tuple(sorted(await asyncio.to_thread(asked, config))))
            self._status.wanted = bool(self._load.asks)
            self._lasting.send(self._load)
            if self._status.wanted:
                self._lasting.start()
                if self._ticking is None:
                    self._tick()

    async def begin(self, config: Config, digest: str) -> None:
        """The first configuration is in force. Returns when all is loaded, after a while in any case."""
        await self.take(config, digest)
        if self._status.wanted:
            try:
                async with asyncio.timeout(START_PATIENCE_S):
                    await self._loaded.wait()
            except TimeoutError:
                self._log.error("checks_not_loaded", waited_s=START_PATIENCE_S)

    async def stop(self) -> None:
        """Ends it."""
        if self._ticking is not None:
            self._ticking.cancel()
        process = self._lasting.leave()
        if process is not None:
            await process.stop(STOP_PATIENCE_S)

    def _what(self, control_fd: int) -> CheckStart:
        return CheckStart(control_fd, str(self._state_dir.path), self._load, self._log_level)

    def _tick(self) -> None:
        """A second more of silence. Seconds are counted, not read off a clock: when this process was stopped itself,
        what the other said meanwhile is read before the next one."""
        self._ticking = asyncio.get_running_loop().call_later(BEAT_S, self._tick)
        process = self._lasting.process
        if process is None or process.ended.done():
            return
        self._beats_left -= 1
        if self._beats_left == 0:
            self._log.error("checks_silent", pid=process.pid, told="it said nothing for too long: killed")
            process.send(signal.SIGKILL)

    def _heard(self, message: Alive | Loaded) -> None:
        self._beats_left = self._silent_beats
        if isinstance(message, Alive):
            return
        self._status.up = True
        self._status.missing = message.missing
        self._loaded.set()
        if message.missing:
            self._log.error("checks_missing", missing=message.missing, snapshot=message.digest)
        else:
            self._log.info("checks_loaded", snapshot=message.digest)

    def _away(self) -> None:
        self._status.up = False
        self._beats_left = SILENT_BEATS_AT_START

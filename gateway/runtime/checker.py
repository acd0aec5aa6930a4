"""The check process: answers what the checks of all workers ask. `python -m gateway.runtime.checker START`.

It holds what is heavy once, however many workers there are, and gives way to them. It keeps nothing for good, and may
be killed at any instruction. It ends when the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from pathlib import Path

from gateway.config import archive
from gateway.errors import ConfigError
from gateway.offload.models import Models
from gateway.offload.server import CheckServer
from gateway.offload.tally import LOADED, WEBHOOK
from gateway.offload.webhooks import Hook, Webhooks
from gateway.runtime import background, connected
from gateway.runtime.check_loaders import LOADERS
from gateway.runtime.checking import CheckStart
from gateway.runtime.control_channel import BEAT_S, Alive, Channel, Load, Loaded
from gateway.runtime.state_dir import checks_socket, make_socket_folder
from gateway.telemetry.logs import Log

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What numerical libraries read when they are loaded: on small matrices more threads only take workers' time."""
SWITCH_S = 0.001
"""How long one thread keeps the interpreter while others wait: short texts and the socket, beside a long text."""


class Checker:
    """What runs in the process."""

    def __init__(self, start: CheckStart, log: Log) -> None:
        self._start = start
        self._state_dir = Path(start.state_dir)
        self._log = log
        self._models = Models(LOADERS)
        self._webhooks = Webhooks({})
        self._server = CheckServer(self._models.answer, self._webhooks.answer, self._bug, self._models.answer_all)
        self._told: asyncio.Queue[Load] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._channel = Channel(Load, self._told.put_nowait, self._gone.set)

    async def run(self) -> None:
        """Answers until told to end. Raises OSError, StartFailed when it cannot listen."""
        await connected.join(self._start.control_fd, self._channel, self._gone.set)
        beating = asyncio.ensure_future(self._beat())
        path = checks_socket(self._state_dir)
        make_socket_folder(path)
        await self._server.listen(path)  # what comes before all is loaded is loaded first, or waits for that
        self._told.put_nowait(self._start.load)
        loading = asyncio.ensure_future(self._load())
        await self._gone.wait()
        loading.cancel()
        beating.cancel()
        self._server.close()

    async def _beat(self) -> None:
        """Says that it lives. One that is stuck says nothing, and is ended by who hears nothing."""
        while True:
            self.beat()
            await asyncio.sleep(BEAT_S)

    def beat(self) -> None:
        """Once."""
        if not self._server.stuck:
            self._channel.send(Alive())

    async def _load(self) -> None:
        while True:
            told = await self._told.get()
            missing = await asyncio.to_thread(self._take, told)
            self._channel.send(Loaded(told.digest, tuple(missing)))

    def _take(self, told: Load) -> list[str]:
        """Loads what is asked for; returns what is missing."""
        missing = self._models.load(need for need in told.asks if need[0] in LOADED)
        # What was loaded is no garbage: to look through it again and again would hold up answers for milliseconds.
        gc.collect()
        gc.freeze()
        if any(kind == WEBHOOK for kind, _ in told.asks):
            try:
                self._webhooks.hooks = self._hooks(told.digest)
            except (ConfigError, OSError) as error:
                missing.append(f"webhooks: {error}")
        return missing

    def _hooks(self, digest: str) -> dict[str, Hook]:
        """Raises ConfigError, OSError."""
        config = archive.resolve_secrets(archive.read(self._state_dir, digest), os.environ)
        return {name: Hook(hook.url, hook.secret) for name, hook in config.webhooks.items()}

    def _bug(self, error: BaseException) -> None:
        # Without its message, which may say what is in a text.
        self._log.error("check_bug", error=type(error).__name__, where=_where(error))


def _where(error: BaseException) -> str:
    """The innermost place in the code."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    return "" if at is None else f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}"


async def _run(start: CheckStart, log: Log) -> None:
    await Checker(start, log).run()


def main() -> int:
    """The process. Its one argument is a `CheckStart` as JSON."""
    start, log = background.begun(CheckStart, "checks")
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    sys.setswitchinterval(SWITCH_S)
    asyncio.run(_run(start, log))
    return 0


if __name__ == "__main__":
    sys.exit(main())

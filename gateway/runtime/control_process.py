"""The control process: the administration's listener. `python -m gateway.runtime.control_process START`.

It serves no caller of models, and may be killed or frozen at any instruction: what it changes is either in the control
store or not, and the supervisor reads it there. It ends when the supervisor is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.clock import SystemClock, within
from gateway.config import units
from gateway.control import app
from gateway.control.service import Service
from gateway.errors import ConfigError
from gateway.runtime import background, hosting, meter_stores, state_dir
from gateway.runtime.controlling import ControlStart
from gateway.runtime.declared_files import DeclaredFiles
from gateway.store.control.base import ControlStore, ControlStoreDown
from gateway.store.control.opening import open_store
from gateway.telemetry.logs import Log

GRACEFUL_S = 2.0
RETRY_S = 1.0
"""How soon a store that could not be opened is tried again."""


async def run(start: ControlStart, log: Log) -> None:
    """Serves until told to end, or until the supervisor is gone."""
    loop = asyncio.get_running_loop()
    where = Path(start.state_dir)
    store = open_store(units.resolve_env(start.store, os.environ), where)
    meters = meter_stores.open_store(start.meters, where, f"{state_dir.state_id(where)}:control")
    service = Service(
        store=store,
        declared=DeclaredFiles(Path(start.folder), start.overrides, os.environ).read,
        meters=meters,
        state_dir=where,
        ops_url=start.ops,
        environ=os.environ,
        clock=SystemClock(),
        log=log,
    )
    server = hosting.server("httptools", app=app.build(service, start.token), graceful_s=GRACEFUL_S)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.finish)
    supervisor = socket.socket(fileno=start.control_fd)
    supervisor.setblocking(False)
    loop.add_reader(supervisor, server.finish)  # it never says a word: readable means that it is gone
    async with _opened(store, log):
        try:
            await server.serve([socket.socket(fileno=start.listen_fd)])
        finally:
            loop.remove_reader(supervisor)
            with contextlib.suppress(TimeoutError):
                await within(meters.close(), GRACEFUL_S)


@contextlib.asynccontextmanager
async def _opened(store: ControlStore, log: Log) -> AsyncIterator[None]:
    """The store, opened as soon as it can be; until then every answer is a 503."""
    opening = asyncio.ensure_future(_until_open(store, log))
    try:
        yield
    finally:
        opening.cancel()
        await asyncio.wait([opening])
        with contextlib.suppress(TimeoutError):
            await within(store.close(), GRACEFUL_S)


async def _until_open(store: ControlStore, log: Log) -> None:
    said = ""
    while True:
        try:
            await store.open()
        except (ControlStoreDown, ConfigError) as error:
            if str(error) != said:
                log.error("control_store_down", error=str(error))
            said = str(error)
            await asyncio.sleep(RETRY_S)
        else:
            return


def main() -> int:
    """The process. Its one argument is a `ControlStart` as JSON."""
    start, log = background.begun(ControlStart, "control")
    asyncio.run(run(start, log))
    return 0


if __name__ == "__main__":
    sys.exit(main())

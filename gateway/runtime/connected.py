"""Processes of ours that are joined to the supervisor by a channel: a worker, the keeper, the check process."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from gateway.runtime.backoff import Backoff
from gateway.runtime.control_channel import Channel, Message
from gateway.runtime.processes import Process, Processes, describe_end
from gateway.telemetry.logs import Log


def start(
    processes: Processes,
    module: str,
    what: Callable[[int], msgspec.Struct],
    channel: Channel,
    on_end: Callable[[int], None],
    pass_fds: Sequence[int] = (),
) -> Process:
    """Runs `python -m module START`, START being `what` of the file descriptor of its end of the channel, as JSON; it
    inherits that and `pass_fds`. `channel` becomes our end, `on_end` gets the return code. Raises OSError: no memory,
    or no process numbers, which may pass.
    """
    ours, theirs = socket.socketpair()
    try:
        argument = msgspec.json.encode(what(theirs.fileno())).decode()
        process = processes.start(["-m", module, argument], pass_fds=(*pass_fds, theirs.fileno()), on_end=on_end)
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    # For a connected socket this does not wait for anything; as a task because the call is a coroutine.
    loop = asyncio.get_running_loop()
    connecting = loop.create_task(loop.create_unix_connection(lambda: channel, sock=ours))
    connecting.add_done_callback(lambda done: done.result())
    return process


async def join(control_fd: int, channel: Channel, end: Callable[[], None]) -> None:
    """The other side, in the process: `channel` becomes its end, and `end` is called when it is told to end."""
    loop = asyncio.get_running_loop()
    await loop.create_unix_connection(lambda: channel, sock=socket.socket(fileno=control_fd))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)


class Lasting:
    """A process that is started again whenever it ends: the keeper, the check process. `name` is what the log calls it;
    `what` makes its start, of the file descriptor of its end of the channel; `heard` gets what it says, which is of
    `kind`; `on_end` is called whenever it has ended."""

    def __init__(
        self,
        processes: Processes,
        log: Log,
        name: str,
        module: str,
        what: Callable[[int], msgspec.Struct],
        kind: Any,
        heard: Callable[[Any], None],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        self.process: Process | None = None
        """The last one; None before the first."""
        self._processes = processes
        self._log = log
        self._name = name
        self._module = module
        self._what = what
        self._kind = kind
        self._heard = heard
        self._on_end = on_end
        self._backoff = Backoff()
        self._wanted = True
        self._channel: Channel | None = None

    def start(self) -> None:
        """Starts it, unless it runs."""
        if not self._wanted or self._channel is not None:
            return
        channel = Channel(self._kind, self._heard, lambda: None)
        try:
            process = start(
                self._processes, self._module, self._what, channel, on_end=lambda code: self._ended(process, code)
            )
        except OSError as error:
            self._log.error(f"{self._name}_start_failed", error=str(error))
            asyncio.get_running_loop().call_later(self._backoff.ended(0.0) or 1.0, self.start)
            return
        self.process, self._channel = process, channel

    def send(self, message: Message) -> None:
        """Says it; dropped while it is away."""
        if self._channel is not None:
            self._channel.send(message)

    def leave(self) -> Process | None:
        """It is not started again. Returns the process that is to be stopped, if there is one."""
        self._wanted = False
        return None if self.process is None or self.process.ended.done() else self.process

    def _ended(self, process: Process, code: int) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._on_end()
        if not self._wanted:
            return
        self._log.error(f"{self._name}_ended", pid=process.pid, end=describe_end(code))
        asyncio.get_running_loop().call_later(self._backoff.ended(process.lived_s), self.start)

"""Starts a process of ours that is joined to the supervisor by a channel: a worker, the keeper."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence

import msgspec

from gateway.runtime.control_channel import Channel
from gateway.runtime.processes import Process, Processes


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

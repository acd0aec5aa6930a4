"""uvicorn's server as both kinds of our processes host it: on sockets we made, with signals we handle, told when it has
started."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import uvicorn

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class HostedServer(uvicorn.Server):
    """Serves until `finish` is called."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[], None] = lambda: None) -> None:
        super().__init__(config)
        self._on_started = on_started

    def finish(self) -> None:
        """No new connections; idle ones close; running requests get the graceful time to end."""
        self.should_exit = True

    def finish_now(self) -> None:
        """The same without the graceful time."""
        self.force_exit = True
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the process: uvicorn would raise SIGTERM again when done, and so end with -15 instead of
        0."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()


def server(
    protocol: Callable[..., asyncio.Protocol] | str,
    *,
    app: App | None = None,
    graceful_s: float,
    backlog: int = 2048,
    on_started: Callable[[], None] = lambda: None,
) -> HostedServer:
    """A server that speaks `protocol` (what makes a connection, or a name uvicorn knows), with everything else of
    uvicorn's switched off."""
    config = uvicorn.Config(
        app=app or _nothing_here,
        http=protocol,  # type: ignore[arg-type]  # uvicorn only calls it
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        backlog=backlog,
        workers=1,  # or uvicorn would look for WEB_CONCURRENCY
        timeout_graceful_shutdown=math.ceil(graceful_s),
    )
    return HostedServer(config, on_started)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    """For protocols that call no app."""

"""The connections of one endpoint: taken and given back in O(1), the warmest first.

An endpoint's address comes from the configuration and from nowhere else. Connections that sat idle longer than
`IDLE_S` are closed, just below the 5 s after which uvicorn (and so vLLM) closes them from its side.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from gateway.backends.http1 import Connection
from gateway.clock import within
from gateway.errors import ConnectFailed, UpstreamTimeout

IDLE_S = 4.0
MAX_IDLE = 1024


class Address:
    """Where an endpoint listens: `http://host:port/base`, `https://…` or `unix:///path/to.sock`; `base` is put before
    every path.
    """

    __slots__ = ("base", "host", "host_header", "path", "port", "tls", "url")

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.url = url
        self.tls = parts.scheme == "https"
        self.path: str | None = None
        self.base = b""
        if parts.scheme == "unix":
            self.path, self.host, self.port, self.host_header = parts.path, "", 0, b"localhost"
            return
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"an endpoint's url starts with http://, https:// or unix:///, not {parts.scheme or 'nothing'}"
            )
        self.host = parts.hostname
        self.port = parts.port or (443 if self.tls else 80)
        self.host_header = parts.netloc.rpartition("@")[2].encode("ascii")
        self.base = parts.path.rstrip("/").encode("ascii")


class Pool:
    """Opens, lends and takes back the connections of one address. Not thread-safe: it belongs to one event loop."""

    def __init__(
        self,
        address: Address,
        connect_s: float,
        now: Callable[[], float] = time.monotonic,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        self.address = address
        self.connect_s = connect_s
        self._now = now
        self._tls = (tls_context or ssl.create_default_context()) if address.tls else None
        self._idle: list[Connection] = []
        self._live: set[Connection] = set()
        self._shut = False

    def take(self) -> Connection | None:
        """An idle connection, ready for one request; None when there is none."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if not connection.closed:
                return connection
        return None

    def connect(self, *, alone: bool = False) -> asyncio.Task[Connection]:
        """A new connection, being opened. Waiting for it raises `ConnectFailed` or `UpstreamTimeout`.

        One that is `alone` never joins the pool: it closes after its first answer.
        """
        return asyncio.get_running_loop().create_task(self._connect(alone))

    def released(self, connection: Connection) -> None:
        if self._shut or len(self._idle) >= MAX_IDLE:
            connection.abort()
        else:
            self._idle.append(connection)

    def lost(self, connection: Connection) -> None:
        self._live.discard(connection)

    def tick(self, now: float) -> None:
        """Deadlines of running requests, and the end of connections that idled too long: called a few times a
        second.
        """
        for connection in list(self._live):
            if connection.busy:
                connection.check_deadlines(now)
        horizon = now - IDLE_S
        stale = 0
        for connection in self._idle:  # the oldest lie at the front
            if connection.idle_since_s > horizon and not connection.closed:
                break
            connection.abort()
            stale += 1
        if stale:
            del self._idle[:stale]

    def close(self) -> None:
        """Closes what is idle now and what runs when it ends."""
        self._shut = True
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    async def _connect(self, alone: bool) -> Connection:
        address = self.address
        loop = asyncio.get_running_loop()
        opening = (
            loop.create_unix_connection(self._protocol, address.path)
            if address.path is not None
            else loop.create_connection(
                self._protocol,
                address.host,
                address.port,
                ssl=self._tls,
                server_hostname=address.host if self._tls else None,
            )
        )
        try:
            transport, connection = await within(opening, self.connect_s)
        except TimeoutError:
            raise UpstreamTimeout("the backend did not take the connection in time (limits.connect_s)") from None
        except OSError as error:  # refused, unreachable, unknown host, bad certificate
            raise ConnectFailed(f"the backend could not be reached ({type(error).__name__})") from None
        sock = transport.get_extra_info("socket")
        if sock is not None and address.path is None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._live.add(connection)
        if alone:
            connection.owner = _Alone(self)
        return connection

    def _protocol(self) -> Connection:
        return Connection(asyncio.get_running_loop(), self, self._now)


class _Alone:
    """The owner of a connection that is not to be lent again."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def released(self, connection: Connection) -> None:
        connection.abort()

    def lost(self, connection: Connection) -> None:
        self._pool.lost(connection)

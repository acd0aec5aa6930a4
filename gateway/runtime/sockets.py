"""The listening sockets: made once by the supervisor, kept open by it, used by the workers.

One socket per worker slot, joined by SO_REUSEPORT: the kernel spreads new connections over them. The supervisor keeps
its copy of each, so connections that arrive while a worker is being replaced wait in the queue for the next one instead
of being refused.
"""

from __future__ import annotations

import errno
import os
import socket

from gateway.runtime.failures import StartFailed

BACKLOG = 2048
"""Connections the kernel may queue per socket; it lowers this to net.core.somaxconn."""

_CALLED = {"0.0.0.0": "127.0.0.1", "::": "::1"}
"""An address that means all, and the one to call."""


def listen_shared(host: str, port: int, count: int) -> list[socket.socket]:
    """`count` listening sockets on one address; with port 0 the kernel chooses one port for all. Raises `StartFailed`.

    SO_REUSEPORT alone would silently share a port that another process of the same user (a second gateway) already
    serves, each getting a part of the traffic. So the first socket is bound without it, which fails when anyone else is
    there, and is opened for sharing afterwards: from then on the port is ours and no moment is left for someone to slip
    in between.
    """
    sockets = [hold_shared(host, port)]
    bound_port = int(sockets[0].getsockname()[1])
    sockets += [_bind(host, bound_port, shared=True) for _ in range(count - 1)]
    for sock in sockets:
        sock.listen(BACKLOG)
    return sockets


def hold_shared(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen, for listeners made elsewhere in our processes: they may share its port, and
    nobody else has it. Raises `StartFailed`.
    """
    sock = _bind(host, port, shared=False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return sock


def listen_alone(host: str, port: int) -> socket.socket:
    """One listening socket, not shared. Raises `StartFailed`."""
    sock = _bind(host, port, shared=False)
    sock.listen(BACKLOG)
    return sock


def address_of(sock: socket.socket) -> str:
    """`HOST:PORT` of a bound socket, an IPv6 address in brackets."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if sock.family == socket.AF_INET6 else f"{host}:{port}"


def url_of(sock: socket.socket) -> str:
    """`http://HOST:PORT` of a bound socket as this machine can call it: loopback where it listens on all addresses,
    IPv6 addresses in brackets."""
    host, port = sock.getsockname()[:2]
    host = _CALLED.get(host, host)
    return f"http://[{host}]:{port}" if sock.family == socket.AF_INET6 else f"http://{host}:{port}"


def _bind(host: str, port: int, *, shared: bool) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise StartFailed(f"cannot listen on {host}:{port}: {error.strerror}") from error
    # The protocol is named (not 0) because asyncio turns TCP_NODELAY on only for sockets that say they are TCP.
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind(address)
    except OSError as error:
        sock.close()
        hint = "; another process has it" if error.errno == errno.EADDRINUSE else ""
        raise StartFailed(
            f"cannot listen on {host}:{port}: {os.strerror(error.errno) if error.errno else error}{hint}"
        ) from error
    return sock

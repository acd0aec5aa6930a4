"""What the servers we ship share: an address, a tiny ASGI vocabulary, an end that comes with the parent's.

Not a framework: an ASGI app is a function. The gateway's own listeners do not use this module.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import os
import signal
import socket
import stat
import sys
from collections.abc import Awaitable, Callable, Coroutine, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import BodyTooLarge, GatewayError, InvalidRequest

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Gone(Exception):
    """The client left before its request was answered."""


def add_address_options(parser: argparse.ArgumentParser) -> None:
    """Adds --socket, --host, --port and --parent: where a server listens and with whom it ends."""
    parser.add_argument("--socket", metavar="PATH", help="listen on this unix socket")
    parser.add_argument("--host", default="127.0.0.1", help="address for --port (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=0, help="listen on this TCP port (0: any free one)")
    parser.add_argument("--parent", type=int, metavar="PID", help="end as soon as this process, our parent, has ended")


def end_with_parent(parent_pid: int | None) -> None:
    """Asks Linux to kill this process when its parent ends (PR_SET_PDEATHSIG); no effect without `parent_pid`.

    The signal also comes when the *thread* that started us ends: a supervisor starts its children from its main thread.
    """
    if parent_pid is None or not sys.platform.startswith("linux"):
        return
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent_pid:  # it ended before the request above was in force
        sys.exit(f"the parent process {parent_pid} has already ended")


def clear_stale_socket(path: str) -> None:
    """Removes a unix socket that nobody serves any more; SystemExit when someone does, or when it is another file."""
    try:
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        sys.exit(f"{path} exists and is not a socket")
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
        else:
            sys.exit(f"{path} is in use by another server")


def bind(args: argparse.Namespace) -> socket.socket:
    """A bound socket for the options of `add_address_options`; a unix socket is for its owner only (0600)."""
    if args.socket:
        clear_stale_socket(args.socket)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(args.socket)
        except OSError as exc:
            sys.exit(f"cannot listen on {args.socket}: {exc}")
        finally:
            os.umask(mask)
        return listener
    family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
    # The protocol number is named because asyncio switches Nagle's algorithm off only on sockets that carry it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((args.host, args.port))
    except OSError as exc:
        sys.exit(f"cannot listen on {args.host}:{args.port}: {exc.strerror}")
    return listener


def address_of(listener: socket.socket) -> str:
    """`unix:/path` or `http://host:port`, as printed after `listening`."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return f"unix:{name}"
    host = f"[{name[0]}]" if listener.family == socket.AF_INET6 else name[0]
    return f"http://{host}:{name[1]}"


class _Protocol(HttpToolsProtocol):
    """Hands the transport to the app, so that a script can drop a connection before its answer."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["lockgate.transport"] = self.transport  # type: ignore[typeddict-unknown-key]


class _Server(uvicorn.Server):
    """Prints the one line that says it serves."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            sys.stdout.write(f"listening {address_of(listener)}\n")
            sys.stdout.flush()


def run(app: App, args: argparse.Namespace) -> None:
    """Serves `app` until SIGTERM or SIGINT (exit code 0, open answers get 3 s), or until the parent ends."""
    end_with_parent(args.parent)
    listener = bind(args)
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises the signal again when it is done: let that pass
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        backlog=2048,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=3,
    )
    try:
        _Server(config).run([listener])
    finally:
        if args.socket:
            Path(args.socket).unlink(missing_ok=True)


async def read_body(receive: Receive, limit_bytes: int) -> bytes:
    """The whole request body; raises BodyTooLarge over `limit_bytes`, Gone when the client left."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        part = message.get("body", b"")
        parts.append(part)
        size += len(part)
        if size > limit_bytes:
            raise BodyTooLarge(f"the body is larger than {limit_bytes} bytes")
        if not message.get("more_body", False):
            return b"".join(parts)


def decode_object(body: bytes) -> dict[str, Any]:
    """A JSON object; raises InvalidRequest for anything else."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise InvalidRequest("the body is not valid JSON") from None
    if not isinstance(value, dict):
        raise InvalidRequest("the body must be a JSON object")
    return value


async def send_whole(
    send: Send,
    status: int,
    body: bytes,
    content_type: str = "application/json",
    headers: tuple[tuple[str, str], ...] = (),
) -> None:
    """One answer of known length."""
    fields = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
    fields += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, value: object, status: int = 200) -> None:
    """`value` as one JSON answer."""
    await send_whole(send, status, msgspec.json.encode(value))


async def send_error(send: Send, error: GatewayError) -> None:
    """`error` in OpenAI's shape."""
    shape = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
    await send_whole(send, error.status, msgspec.json.encode({"error": shape}), headers=error.headers)


async def told(send: Send, handling: Awaitable[None]) -> None:
    """Handles a request to its end; an error that is meant for the client is told to it, unless it has left."""
    try:
        await handling
    except Gone:
        pass
    except GatewayError as error:
        await send_error(send, error)


async def unless_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Runs `work` to its end, or cancels it and raises Gone as soon as the client has left.

    The request body must have been read before.
    """

    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    job, gone = asyncio.ensure_future(work), asyncio.ensure_future(left())
    try:
        await asyncio.wait((job, gone), return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            raise Gone
        job.result()
    finally:
        for task in (job, gone):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task

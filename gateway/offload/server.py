"""The check process's side of the socket: takes questions, lets lanes answer them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, cast

from gateway.offload import frames
from gateway.offload.frames import UNAVAILABLE, Answer, Broken, Frames, Question, framed
from gateway.offload.lanes import Lane, Work, WorkTogether
from gateway.offload.masks import KIND as MASKS
from gateway.offload.masks import Masks
from gateway.offload.tally import WEBHOOK

SHORT: Final = 4_000
"""Bytes of a text that is scored in some 10 ms."""
POSTING: Final = 16
"""Webhooks called at a time."""


class CheckServer:
    """`local` answers what is computed here, `remote` what somebody else must be asked; both in threads. `on_bug` gets
    what they raise beside `Unanswered`. `together`: several short texts at once, where that is less work. What is only
    kept is answered at once."""

    def __init__(
        self,
        local: Work,
        remote: Work,
        on_bug: Callable[[BaseException], None],
        together: WorkTogether | None = None,
    ) -> None:
        self._short = Lane("short", 1, local, on_bug, together=together)
        self._long = Lane("long", 1, local, on_bug)
        self._masks = Masks()
        self._remote = Lane("webhook", POSTING, remote, on_bug)
        self._server: asyncio.Server | None = None
        self._path: Path | None = None
        self._connections: set[asyncio.Transport] = set()

    async def listen(self, path: Path) -> None:
        """Listens at `path`, which only this user may write to. Raises OSError."""
        self._path = path
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(lambda: _Connection(self), sock=_bound(path))

    def close(self) -> None:
        """Ends all connections, whose open questions fail."""
        if self._server is not None and self._path is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for transport in list(self._connections):
            transport.abort()
        for lane in (self._short, self._long, self._remote):
            lane.close()

    @property
    def stuck(self) -> bool:
        """Whether something that is computed here does not seem to end."""
        return self._short.stuck or self._long.stuck

    def came(self, frame: bytes, transport: asyncio.Transport) -> None:
        """A question. Raises `Broken`."""
        question = frames.question(frame)
        reply = partial(_reply, transport, question.number)
        if len(question.text) > frames.LONGEST_TEXT:
            reply(None, UNAVAILABLE)
        elif question.kind == MASKS:
            reply(self._masks.answer(question.name, question.text), "")
        else:
            self._lane(question).put(question, reply)

    def joined(self, transport: asyncio.Transport) -> None:
        self._connections.add(transport)

    def left(self, transport: asyncio.Transport) -> None:
        self._connections.discard(transport)

    def _lane(self, question: Question) -> Lane:
        if question.kind == WEBHOOK:
            return self._remote
        return self._short if len(question.text) <= SHORT else self._long


class _Connection(asyncio.Protocol):
    def __init__(self, server: CheckServer) -> None:
        self._server = server
        self._frames = Frames()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server.joined(self._transport)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._frames.feed(data):
                self._server.came(frame, self._transport)
        except Broken:  # both ends come from one installation: it is broken beyond talking to
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self._transport)


def _reply(transport: asyncio.Transport, number: int, value: object, failure: str) -> None:
    if not transport.is_closing():
        transport.write(framed(Answer(number, value, failure)))


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # of a process that was killed
    sock = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    finally:
        os.umask(before)
    return sock

"""An exchange over ASGI: its answer is a queue of messages. The application that makes one is `asgi`."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.stepping import Stepper

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

HIGH_BYTES = 256 * 1024


class AsgiExchange(Exchange):
    """An exchange whose answer is a queue of ASGI messages."""

    def __init__(self, scope: Message, gw: Gateway, received_s: float) -> None:
        super().__init__(_Channel(), received_s)
        self.method = scope["method"].encode("ascii")
        self.target = scope.get("raw_path") or scope["path"].encode()
        for name, value in scope["headers"]:
            self.headers[name] = self.headers[name] + b", " + value if name in self.headers else value
        self.max_body = gw.snapshot.limits.body
        self._queue: deque[Message] = deque()
        self._queued_bytes = 0
        self._ready = asyncio.Event()

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        self.started = True
        self.answer_bytes = len(body)
        if self.tap is not None:
            self.tap.add(body)
        self._put(_start(status, headers + b"content-length: %d\r\n" % len(body)))
        self._put(_part(b"" if self.method == b"HEAD" else body, last=True))
        self.finished = True

    def start(self, status: int, headers: bytes) -> None:
        self.started = True
        self._put(_start(status, headers))

    def send(self, data: bytes) -> None:
        self.answer_bytes += len(data)
        if self.tap is not None:
            self.tap.add(data)
        self._queued_bytes += len(data)
        self._put(_part(data, last=False))
        if self._queued_bytes > HIGH_BYTES and not self.throttled:
            self.throttle()

    def end(self, data: bytes = b"") -> None:
        self.answer_bytes += len(data)
        if self.tap is not None:
            self.tap.add(data)
        self._put(_part(data, last=True))
        self.finished = True
        self.source = None

    def _put(self, message: Message) -> None:
        self._queue.append(message)
        self._ready.set()

    def wake(self) -> None:
        """There is something to deliver, or the handler ended."""
        self._ready.set()

    async def deliver(self, send: Send, handling: Stepper) -> None:
        """Sends messages in order until the answer is complete, or the handler ended without one."""
        more = True
        while more and (self._queue or not handling.ended):
            await self._ready.wait()
            self._ready.clear()
            while self._queue:
                message = self._queue.popleft()
                await send(message)
                self._queued_bytes -= len(message.get("body", b""))
                more = message["type"] == "http.response.start" or message["more_body"]
            if self.throttled:
                self.unthrottle()


def _no_bytes(data: bytes) -> None:
    raise AssertionError("an ASGI exchange writes messages, not bytes")


class _Channel:
    """ASGI has no connection to speak of."""

    write = staticmethod(_no_bytes)

    def answered(self, exchange: Exchange) -> None:
        """Nothing follows on this exchange."""

    def wants_body(self, exchange: Exchange) -> None:
        """The server sends `100 Continue` when the body is received."""

    date_line = b""


def _start(status: int, lines: bytes) -> Message:
    headers = [tuple(line.split(b": ", 1)) for line in lines.splitlines()]
    return {"type": "http.response.start", "status": status, "headers": headers}


def _part(body: bytes, *, last: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": not last}

"""One request and its answer, as a handler sees them, wherever they came from.

`Exchange` is what the server's protocol class fills and empties (`server.py`); `asgi.py` offers the same over ASGI. A
handler reads `method`, `path`, `headers` and `await body(limit)`, and answers once: with `answer`, or with `start`,
`send`… and `end`. What it writes goes to the transport at once; when the caller does not keep up, `source` (the
upstream's connection) is paused until it does.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Final, NamedTuple, Protocol

from gateway.backends.waiter import Waiter
from gateway.dataplane.stepping import Stepper
from gateway.errors import BodyTooLarge, GatewayError
from gateway.policy.identity import Headers

SIZE_LINES: Final = tuple(b"%x\r\n" % size for size in range(4096))
"""What stands before a chunk of so many bytes: formatting it would cost more than all else done to send one."""
STATUS_LINES = {status.value: b"HTTP/1.1 %d %s\r\n" % (status.value, status.phrase.encode()) for status in HTTPStatus}
LAST_CHUNK: Final = b"0\r\n\r\n"


class Source(Protocol):
    """What produces the bytes of a streamed answer and can be told to wait."""

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Tap(Protocol):
    """What keeps an answer."""

    def add(self, data: bytes) -> None:
        """The caller is sent this."""
        ...


class Channel(Protocol):
    """The connection below an exchange: what `Exchange` needs from the server."""

    @property
    def write(self) -> Callable[[bytes], None]: ...

    @property
    def date_line(self) -> bytes: ...

    def answered(self, exchange: Exchange) -> None:
        """The last byte of the answer was written."""
        ...

    def wants_body(self, exchange: Exchange) -> None:
        """The handler waits for the body: a caller that expects `100 Continue` is told to go on."""
        ...


class Head(NamedTuple):
    """What is kept of a request's head for the next one with the same."""

    method: bytes
    target: bytes
    headers: Headers
    """Shared by the exchanges: not to be changed. Its `content-length` is the first one's."""


class Exchange:
    """See the module. `gone` is True once the caller left; everything written then is dropped."""

    # Most exchanges never touch most of these, so they live on the class until they are set.
    method = b""
    target = b""
    request_id = ""
    keep_alive = True
    close_after = False
    http_1_0 = False
    expects_continue = False
    complete = False
    max_body = 0
    length = 0
    body_bytes = 0
    answer_bytes = 0
    started = False
    finished = False
    gone = False
    throttled = False
    failure: GatewayError | None = None
    stepper: Stepper | None = None
    _waiter: Waiter[None] | None = None
    _chunked = False

    def __init__(self, channel: Channel, received_s: float, headers: Headers | None = None) -> None:
        self.channel = channel
        self.received_s = received_s
        self.headers = Headers() if headers is None else headers
        self.source: Source | None = None  # here, since mypyc gives a protocol's attribute no default
        self.tap: Tap | None = None
        self._body: list[bytes] = []

    @property
    def path(self) -> bytes:
        """The raw path: no query, no scheme and host (RFC 9112 §3.2.2 absolute form), never decoded."""
        path = self.target.partition(b"?")[0]
        if path[:1] != b"/" and b"://" in path:
            path = b"/" + path.partition(b"://")[2].partition(b"/")[2]
        return path

    # -- the request

    async def body(self) -> bytes:
        """The whole body. Raises `BodyTooLarge` over the limit and `SlowRequest` when it does not come in time."""
        if not self.complete and self.failure is None:
            self.channel.wants_body(self)
            waiter = self._waiter = Waiter()
            await waiter
        if self.failure is not None:
            raise self.failure
        return self.whole

    @property
    def whole(self) -> bytes:
        """What has come of the body: all of it once `body` has returned."""
        body = self._body
        return body[0] if len(body) == 1 else b"".join(body)

    def receive(self, data: bytes) -> None:
        """From the server: a part of the body."""
        self.body_bytes += len(data)
        if self.body_bytes > self.max_body:
            self.fail(BodyTooLarge(f"the body is larger than the limit of {self.max_body} bytes"))
        else:
            self._body.append(data)

    def receive_whole(self, data: bytes) -> None:
        """From the server: the body came in one piece, within the limit."""
        self.body_bytes = len(data)
        self._body = [data]
        self.complete = True

    def received(self) -> None:
        """From the server: the body is complete."""
        self.complete = True
        if self._waiter is not None:
            self._wake()

    def fail(self, error: GatewayError) -> None:
        """From the server: the body will not come, or not within its limits."""
        if self.failure is None:
            self.failure = error
            self._body.clear()
            if self._waiter is not None:
                self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        assert waiter is not None
        waiter.set(None)

    # -- the answer

    def answer(self, status: int, headers: bytes, body: bytes) -> None:
        """The whole answer in one write; `headers` are whole lines. A HEAD request gets its head only."""
        length = self.answer_bytes = len(body)
        self.started = self.finished = True
        if self.tap is not None:
            self.tap.add(body)
        if not self.gone:
            shown = body if self.method != b"HEAD" else b""
            self.channel.write(b"%bcontent-length: %d\r\n\r\n%b" % (self._head(status, headers), length, shown))
        self.channel.answered(self)

    def start(self, status: int, headers: bytes) -> None:
        """The head of a streamed answer: chunked, or ended by closing for HTTP/1.0 (RFC 9112 §6.3)."""
        self.started = True
        if self.http_1_0:
            self.close_after = True
        else:
            self._chunked = True
        self._write(self._head(status, headers) + (b"transfer-encoding: chunked\r\n\r\n" if self._chunked else b"\r\n"))

    def send(self, data: bytes) -> None:
        """A part of a streamed answer; never empty."""
        self.answer_bytes += len(data)
        if self.tap is not None:
            self.tap.add(data)
        if not self.gone:
            self.channel.write(_chunk(data) if self._chunked else data)

    def end(self, data: bytes = b"") -> None:
        """The end of a streamed answer, with its last part, in one write."""
        self.answer_bytes += len(data)
        if self.tap is not None:
            self.tap.add(data)
        if self._chunked:
            data = _chunk(data) + LAST_CHUNK if data else LAST_CHUNK
        if data:
            self._write(data)
        self.finished = True
        self.source = None
        self.channel.answered(self)

    def throttle(self) -> None:
        """From the server: the caller does not keep up."""
        self.throttled = True
        if self.source is not None:
            self.source.pause_reading()

    def unthrottle(self) -> None:
        """From the server: the caller caught up."""
        self.throttled = False
        if self.source is not None:
            self.source.resume_reading()

    def _head(self, status: int, headers: bytes) -> bytes:
        if not self.close_after and self.keep_alive and self.complete:
            if not self.http_1_0:
                return STATUS_LINES[status] + self.channel.date_line + headers
            connection = b"connection: keep-alive\r\n"
        else:
            self.close_after = True
            connection = b"connection: close\r\n"
        return STATUS_LINES[status] + self.channel.date_line + headers + connection

    def _write(self, data: bytes) -> None:
        if not self.gone:
            self.channel.write(data)


def _chunk(data: bytes) -> bytes:
    """A part of a chunked body (RFC 9112 §7.1)."""
    size = len(data)
    return b"%b%b\r\n" % (SIZE_LINES[size] if size < len(SIZE_LINES) else b"%x\r\n" % size, data)

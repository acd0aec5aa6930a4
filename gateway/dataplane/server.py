"""The server side of a connection: bytes to `Exchange`s and back, as a protocol class that uvicorn hosts.

llhttp (httptools) frames; this class adds what it leaves to its user: limits while reading, deadlines against slow
senders and slow readers, one request at a time with pipelined ones held and reading paused, `100 Continue`, HTTP/1.0,
an orderly close. It replaces uvicorn's own protocol class, so the surface used of uvicorn is the constructor's
arguments, `server_state.connections` and `shutdown()`: pinned, and tested in tests/integration/test_http_*.py.

Deadlines are checked a few times a second by `tick` for all connections together: a timer per request would cost more
than parsing it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import httptools

from gateway.dataplane import lifecycle
from gateway.dataplane.exchange import Exchange, Head
from gateway.dataplane.stepping import Stepper
from gateway.errors import BodyTooLarge, CallerError, GatewayError, HeadersTooLarge, InvalidRequest, SlowRequest
from gateway.wire import errors as wire_errors
from gateway.wire.known_head import KnownHead

if TYPE_CHECKING:
    from gateway.dataplane.gateway import Gateway

MAX_PIPELINED = 32
LINGER_S = 2.0
UNFRAMED_FROM_BYTES = 64 * 1024
WRITE_HIGH_BYTES = 256 * 1024
HOP_BY_HOP = frozenset((b"connection", b"upgrade", b"http2-settings"))
UNUSUAL = frozenset((b"connection", b"expect", b"upgrade"))
"""Without these headers, a request that HTTP/1.1 would keep alive needs no second look."""
SINGLE = frozenset((b"authorization", b"x-api-key", b"content-length", b"content-type", b"expect", b"host"))


class ServerConnection(asyncio.Protocol):
    """One connection of a caller."""

    __slots__ = (
        "_arriving",
        "_head_done",
        "_headers",
        "_head_read",
        "_holding",
        "_idle_since_s",
        "_known",
        "_lingering_until_s",
        "_now",
        "_parser",
        "_queue",
        "_server_state",
        "_stalled_since_s",
        "_stopping",
        "_unframed",
        "_upgrading",
        "active",
        "gateway",
        "loop",
        "transport",
        "write",
    )

    transport: asyncio.Transport

    def __init__(self, gateway: Gateway, config: Any, server_state: Any, app_state: Any, _loop: Any = None) -> None:
        self.gateway = gateway
        self.loop: asyncio.AbstractEventLoop = _loop or asyncio.get_event_loop()
        self._server_state = server_state
        self._parser = httptools.HttpRequestParser(self)
        self.active: Exchange | None = None  # being answered
        self._arriving: Exchange | None = None  # being received
        self._queue: deque[Exchange] = deque()  # received (wholly or in part) while another is being answered
        self._headers: dict[bytes, bytes] = {}
        self._head_done = False
        self._head_read = 0
        self._upgrading = False
        self._holding = False
        self._stopping = False
        self._unframed = 0
        self._known: KnownHead[Head] = KnownHead()
        self._now = gateway.clock.monotonic_s
        self._idle_since_s: float | None = None
        self._stalled_since_s: float | None = None
        self._lingering_until_s: float | None = None

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        self.write = self.transport.write
        self.transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._server_state.connections.add(self)
        self.gateway.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server_state.connections.discard(self)
        self.gateway.connections.discard(self)
        self._lingering_until_s = None
        active = self.active
        self._queue.clear()
        if active is not None and not active.finished:
            active.gone = True
            if active.stepper is not None:
                active.stepper.cancel()

    def data_received(self, data: bytes) -> None:
        if self._lingering_until_s is not None:
            return
        if self._unframed:
            data = self._take_unframed(data)
            if not data:
                return
        at_start = self._arriving is None and not self._head_read
        if at_start and self.active is None and not self._queue:
            body = self._known.body(data)
            if body is not None and self._begin_known(body):
                return
        if not self._head_done:
            self._head_read += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._malformed(error)
            return
        if not self._head_done and self._head_read > self.gateway.snapshot.limits.header:
            self._refuse(HeadersTooLarge("the request line and headers are larger than the limit"))
            return
        if at_start and self._arriving is None and len(self._queue) == 1:
            self._learn(data, self._queue[0])
        self._begin_next()
        if self._arriving is not None and self._arriving.length - self._arriving.body_bytes >= UNFRAMED_FROM_BYTES:
            self._unframed = self._arriving.length - self._arriving.body_bytes

    def pause_writing(self) -> None:
        self._stalled_since_s = self._now()
        if self.active is not None:
            self.active.throttle()

    def resume_writing(self) -> None:
        self._stalled_since_s = None
        if self.active is not None:
            self.active.unthrottle()

    # -- uvicorn

    def shutdown(self) -> None:
        """From uvicorn when it stops: idle connections close, running answers end first and say `connection: close`."""
        self._stopping = True
        if self.active is not None:
            self.active.close_after = True
        elif self._arriving is None:
            self.transport.close()

    def cut(self) -> None:
        """From the gateway, when the time to drain is over."""
        if self.active is not None and self.active.stepper is not None:
            self.active.stepper.cancel()

    # -- httptools callbacks

    def on_message_begin(self) -> None:
        if len(self._queue) >= MAX_PIPELINED:
            raise InvalidRequest("too many pipelined requests")
        exchange = self._arriving = Exchange(self, self._now())
        self._headers = exchange.headers
        self._head_done = self._upgrading = False

    def on_url(self, url: bytes) -> None:
        assert self._arriving is not None
        self._arriving.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        headers = self._headers
        if name in headers:
            if name in SINGLE:
                raise InvalidRequest(f"the header {name.decode('ascii')} must not be sent twice")
            value = headers[name] + b", " + value
        headers[name] = value

    def on_headers_complete(self) -> None:
        exchange = self._arriving
        assert exchange is not None
        parser = self._parser
        limits = self.gateway.snapshot.limits
        headers = exchange.headers
        self._head_done = True
        self._headers = {}  # for trailers: nobody asked for any
        exchange.method = parser.get_method()
        if self._head_read > limits.header:
            size = len(exchange.target) + sum(len(name) + len(value) + 4 for name, value in exchange.headers.items())
            if size > limits.header:
                raise HeadersTooLarge("the request line and headers are larger than the limit")
        self._head_read = 0
        exchange.max_body = limits.body
        usual = parser.should_keep_alive() and UNUSUAL.isdisjoint(headers)
        if not usual or exchange.method == b"CONNECT":
            exchange.keep_alive = parser.should_keep_alive()
            exchange.http_1_0 = parser.get_http_version() == "1.0"
            exchange.expects_continue = headers.get(b"expect", b"").lower() == b"100-continue" and not exchange.http_1_0
            self._upgrading = parser.should_upgrade()
            if self._upgrading:
                return
        if b"host" not in headers and not exchange.http_1_0:  # RFC 9112 §3.2; all we read of it is that it is there
            raise InvalidRequest("an HTTP/1.1 request needs a Host header")
        if self._stopping:
            exchange.close_after = True
        length = headers.get(b"content-length")
        if length is not None:
            exchange.length = int(length)
            if exchange.length > limits.body:
                exchange.fail(BodyTooLarge(f"the body is larger than the limit of {limits.body} bytes"))
        if self.active is not None or self._queue:  # pipelined: held, and nothing more is read until its turn comes
            self._holding = True
            self.transport.pause_reading()
        self._queue.append(exchange)

    def on_body(self, data: bytes) -> None:
        exchange = self._arriving
        if exchange is not None and exchange.failure is None:
            exchange.receive(data)

    def on_message_complete(self) -> None:
        if self._upgrading:
            return
        exchange, self._arriving = self._arriving, None
        self._head_done = False
        assert exchange is not None
        exchange.received()

    # -- Channel

    @property
    def date_line(self) -> bytes:
        return self.gateway.date_line

    def wants_body(self, exchange: Exchange) -> None:
        if exchange.expects_continue and not exchange.gone:
            exchange.expects_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def answered(self, exchange: Exchange) -> None:
        self.active = None
        self._idle_since_s = None  # `tick` looks at the clock, not every request
        if exchange.gone:
            return
        if exchange.close_after or self._stopping:
            self._close(linger=not exchange.complete)
        elif self._queue:
            self.loop.call_soon(self._begin_next)

    # -- deadlines

    def tick(self, now: float) -> None:
        """What is late ends: a slow sender with 408, a stalled reader and an idle connection by closing."""
        limits = self.gateway.snapshot.limits
        if self._lingering_until_s is not None:
            if now > self._lingering_until_s:
                self.transport.abort()
        elif self._stalled_since_s is not None:
            if now > self._stalled_since_s + limits.idle_s:
                self.gateway.count_http_error("stalled_reader")
                self.transport.abort()
        elif self._arriving is not None:
            if now > self._arriving.received_s + limits.request_s:
                slow = SlowRequest(f"the request did not arrive within {limits.request_s:g} s")
                if self._head_done and self._arriving is self.active:
                    self.active.fail(slow)
                elif self.active is None:
                    self._refuse(slow)
        elif self.active is None:
            if self._idle_since_s is None:
                self._idle_since_s = now
            elif now > self._idle_since_s + limits.keepalive_s:
                self.transport.close()

    # -- inside

    def _take_unframed(self, data: bytes) -> bytes:
        """The rest of a large body whose length is known needs no parser: it is taken as it comes, without a copy.

        Returns what follows the body. The parser, left within a message, is replaced by one at the start of the next.
        """
        exchange = self._arriving
        assert exchange is not None
        rest = data[self._unframed :]
        part = data[: self._unframed] if rest else data
        self._unframed -= len(part)
        if exchange.failure is None:
            exchange.receive(part)
        if not self._unframed:
            self._parser = httptools.HttpRequestParser(self)
            self.on_message_complete()
        return rest

    def _begin_next(self) -> None:
        if self.active is None and self._queue and not self.transport.is_closing():
            exchange = self._queue.popleft()
            self.active = exchange
            exchange.throttled = self._stalled_since_s is not None  # the answer before it still fills the buffer
            if self._holding:
                exchange.received_s = self._now()  # a pipelined request is not late for having waited its turn
                if not self._queue:
                    self._holding = False
                    self.transport.resume_reading()
            exchange.stepper = Stepper(lifecycle.run(self.gateway, exchange), self.loop)
            exchange.stepper.start()

    def _begin_known(self, body: bytes) -> bool:
        """Serves a request whose head is that of an earlier one; False when the parser must see it all the same."""
        if self._stopping or len(body) > self.gateway.snapshot.limits.body or self.transport.is_closing():
            return False
        head = self._known.value
        exchange = self.active = Exchange(self, self._now(), head.headers)
        exchange.method, exchange.target = head.method, head.target
        exchange.receive_whole(body)
        if self._stalled_since_s is not None:  # the answer before it still fills the buffer
            exchange.throttled = True
        stepper = exchange.stepper = Stepper(lifecycle.run(self.gateway, exchange), self.loop)
        stepper.start()
        return True

    def _learn(self, data: bytes, exchange: Exchange) -> None:
        """Keeps the head of a usual request that came in one piece and alone."""
        usual = exchange.keep_alive and not exchange.http_1_0 and not exchange.expects_continue
        if usual and exchange.complete and exchange.body_bytes and exchange.body_bytes == exchange.length:
            self._known.learn(data, Head(exchange.method, exchange.target, exchange.headers))

    def _ignore_upgrade(self, rest: bytes) -> None:
        """An `Upgrade` we do not offer is ignored (RFC 9110 §7.8), with its body read as usual: llhttp would treat
        that as another protocol's bytes, so the request is framed again without the headers that asked. JDK clients
        send `h2c` with every first call.
        """
        exchange = self._arriving
        assert exchange is not None
        if exchange.method == b"CONNECT":
            self._refuse(InvalidRequest("CONNECT is not offered"))
            return
        lines = [b"%b %b HTTP/1.1\r\n" % (exchange.method, exchange.target)]
        lines += [b"%b: %b\r\n" % item for item in exchange.headers.items() if item[0] not in HOP_BY_HOP]
        self._parser = httptools.HttpRequestParser(self)
        self._arriving, self._head_done = None, False
        self.data_received(b"".join(lines) + b"\r\n" + rest)

    def _malformed(self, error: httptools.HttpParserError) -> None:
        cause = error.__context__
        if isinstance(cause, GatewayError):
            self._refuse(cause)
        elif isinstance(error, httptools.HttpParserCallbackError):
            raise error  # a bug of ours, not the caller's
        else:
            self._refuse(InvalidRequest(f"the request is not valid HTTP/1.1: {error}"))

    def _refuse(self, error: GatewayError) -> None:
        """Answers what never became a request (or was cut off as one), and closes: nothing after it can be framed."""
        self.gateway.count_http_error(error.code)
        active = self.active
        if active is not None:  # its own answer comes first, or fails with its body
            active.close_after = True
            self._queue.clear()
            if not active.complete:
                active.fail(error if isinstance(error, CallerError) else InvalidRequest("the body is not valid"))
            self.transport.pause_reading()
            return
        exchange = Exchange(self, self._now())
        exchange.close_after = True
        status, headers, body = wire_errors.render(
            error, self.gateway.ids.next(self.gateway.clock.wall_ns()), wire_errors.OPENAI
        )
        self._queue.clear()
        exchange.answer(status, headers, body)

    def _close(self, *, linger: bool) -> None:
        """Closes; when the caller still sends, first lets it read the answer: closing at once would reset the
        connection over it.
        """
        self._queue.clear()
        if linger:
            self._lingering_until_s = self._now() + LINGER_S
            if self.transport.can_write_eof():
                self.transport.write_eof()
            self.transport.resume_reading()
        else:
            self.transport.close()


def protocol(gateway: Gateway) -> Callable[..., asyncio.Protocol]:
    """What to give to `uvicorn.Config(http=…)`: makes connections of this gateway."""
    return partial(ServerConnection, gateway)

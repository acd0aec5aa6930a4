"""One kept-alive HTTP/1.1 connection to an upstream: framing by llhttp, everything else ours.

A connection carries one request at a time. `request` waits for the head of the answer and, unless the answer is a
stream that was asked for, for its body too. `pump` then hands a stream's bytes to a function as they arrive, without
a task or a queue in between: the reader of a slow caller pauses the upstream's socket, so memory stays bounded.

It never follows redirects, never retries and knows no URL: that is the pool's and the policy's business.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

import httptools

from gateway.backends.reply import KEPT, Head, Limits, Reply
from gateway.backends.waiter import Waiter
from gateway.errors import ConnectFailed, StreamBroken, UpstreamError, UpstreamProtocol, UpstreamTimeout
from gateway.wire.known_head import KnownHead

EVENT_STREAM = b"text/event-stream"
MAX_HEAD_BYTES = 64 * 1024
JOIN_BELOW_BYTES = 64 * 1024
"""Below this, copying a body behind its head costs less than a second write."""
BROKEN_OFF = "the backend broke off in the middle of its answer"


class Owner(Protocol):
    """Who gets a connection back: the pool of its endpoint."""

    def released(self, connection: Connection) -> None:
        """The answer ended cleanly and the connection may serve again."""
        ...

    def lost(self, connection: Connection) -> None:
        """The connection is closed."""
        ...


class _Leaving:
    """The owner of a connection that was hung up on."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner

    def released(self, connection: Connection) -> None:
        connection.abort()

    def lost(self, connection: Connection) -> None:
        self._owner.lost(connection)


class Connection(asyncio.Protocol):
    """See the module. All times are seconds of the monotonic clock `now`."""

    # Per connection: loop, now, owner, transport, parser, requests_sent, closed. Per request: all others.
    __slots__ = (
        "_chunks",
        "_ended",
        "_feed",
        "_head_done",
        "_keep_alive",
        "_known",
        "_limits",
        "_paused",
        "_pump_waiter",
        "_pumping",
        "_ready",
        "_received",
        "_reply",
        "_sent_s",
        "_sink",
        "_want_stream",
        "_waiter",
        "busy",
        "closed",
        "first_byte_s",
        "idle_since_s",
        "last_byte_s",
        "loop",
        "now",
        "owner",
        "parser",
        "requests_sent",
        "total_deadline_s",
        "transport",
    )

    transport: asyncio.Transport

    def __init__(self, loop: asyncio.AbstractEventLoop, owner: Owner, now: Callable[[], float]) -> None:
        self.loop = loop
        self.now = now
        self.owner = owner
        self.parser = httptools.HttpResponseParser(self)
        self.requests_sent = 0
        self.closed = False
        self.busy = False
        self.idle_since_s = 0.0
        self._waiter: Waiter[Reply] | None = None
        self._pump_waiter: Waiter[None] | None = None
        self._feed: Callable[[bytes], bytes]
        self._sink: Callable[[bytes], None] | None = None
        self._paused = False
        self._reply = Reply()
        self._ready = False
        self._chunks: list[bytes] = []
        self._known: KnownHead[Head] = KnownHead()

    # -- what the data plane calls

    def request(
        self, head: bytes, body: bytes, want_stream: bool, limits: Limits, total_deadline_s: float, now: float
    ) -> Waiter[Reply]:
        """Sends a request; waiting for it gives its `Reply` or raises an `UpstreamError`. `now` is the monotonic time.

        With `want_stream`, a 200 with an event stream resolves at its head and the body follows through `pump`.
        Otherwise the body is gathered, up to `limits.answer` bytes (more is an `UpstreamProtocol` error). Whoever
        stops waiting calls `abort`.
        """
        self.busy = True
        self.requests_sent += 1
        self._want_stream = want_stream
        self._limits = limits
        self.total_deadline_s = total_deadline_s
        self._sent_s = self.last_byte_s = now
        self._reply = Reply()
        self._head_done = self._keep_alive = self._ended = self._pumping = False
        self._received = 0
        waiter = self._waiter = Waiter()
        if len(body) < JOIN_BELOW_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        return waiter

    def pump(self, feed: Callable[[bytes], bytes], sink: Callable[[bytes], None]) -> Waiter[None]:
        """Hands what is left of a streamed body to `feed`, in order, and what that makes of it to `sink`; waiting
        for it ends with the stream's clean end.

        Raises `StreamBroken` when the upstream breaks off and `UpstreamTimeout` when it stalls.
        """
        waiter: Waiter[None] = Waiter()
        self._pump_waiter = waiter
        self._feed, self._sink = feed, sink
        if self._chunks:
            self._pass_on()
        if not self.busy:  # the whole stream came with its head
            self._end_pump()
        elif self.closed:
            self._fail(StreamBroken(BROKEN_OFF))
        return waiter

    def pause_reading(self) -> None:
        """The sink cannot take more for now."""
        if not self._paused and not self.closed:
            self._paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """The sink can take more."""
        if self._paused and not self.closed:
            self._paused = False
            self.last_byte_s = self.now()
            self.transport.resume_reading()

    def abort(self) -> None:
        """Closes at once, whatever runs: the way to cancel, which frees the upstream's GPU."""
        if not self.closed:
            self.closed = True
            self.transport.abort()
        self._fail(ConnectFailed("the connection was given up"))  # heard by nobody, unless it was not theirs to end

    def hang_up(self) -> None:
        """Tells the upstream that nobody wants more (a half-close, on which it stops), and goes on reading what it had
        sent by then. The connection serves no other request.
        """
        if self.closed or isinstance(self.owner, _Leaving):
            return
        self.owner = _Leaving(self.owner)
        if self._paused:
            self.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.abort()

    def check_deadlines(self, now: float) -> None:
        """Called a few times a second for busy connections: turns a missed deadline into an `UpstreamTimeout`."""
        if now > self.total_deadline_s:
            reason = "total_s"
        elif self._head_done and not self._paused and now > self.last_byte_s + self._limits.idle_s:
            reason = "idle_s"
        elif not self._head_done and now > self._sent_s + self._limits.first_byte_s:
            reason = "first_byte_s"
        else:
            return
        self._fail(UpstreamTimeout(f"the backend did not answer in time (limits.{reason})"))
        self.abort()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if not self.busy:  # bytes nobody asked for: whatever they are, the next answer could not be told from them
            self.abort()
            return
        self.last_byte_s = self.now()
        first = not self._received
        if first and not self._want_stream and self._take_known(data):
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._broken(UpstreamProtocol("the backend switched protocols without being asked"))
            return
        except httptools.HttpParserError as error:
            if not self._ended:
                self._broken(UpstreamProtocol(f"the backend's answer is not valid HTTP/1.1 ({type(error).__name__})"))
                return
            self._keep_alive = False  # the answer is whole; what follows it belongs to no request
        if self._sink is not None:
            chunks = self._chunks
            if chunks:  # `_pass_on`, written out: this is every chunk's path
                out = self._feed(chunks[0] if len(chunks) == 1 else b"".join(chunks))
                chunks.clear()
                if out:
                    self._sink(out)
            if self._ended:
                self._end_pump()
            return
        self._received += len(data)
        if self._received > self._limits.answer and not self._pumping:
            self._broken(UpstreamProtocol("the backend's answer is larger than limits.answer"))
        elif self._ready:
            reply = self._reply
            if first and self._keep_alive and reply.status == 200 and reply.body and data.startswith(b"HTTP/1.1 200"):
                self._known.learn(data, (reply.content_type, reply.retry_after, reply.json_length))
            self._deliver()
        elif not self._head_done and self._received > MAX_HEAD_BYTES:
            self._broken(UpstreamProtocol("the backend's answer has more than 64 KiB of headers"))

    def eof_received(self) -> None:
        # An answer without a length ends with the connection (RFC 9112 §6.3).
        if self.busy and self._head_done and self._reply.framing is None:
            self._keep_alive = False
            self.on_message_complete()
            if self._ready:
                self._deliver()
            elif self._sink is not None:  # else `pump` finds it ended
                self._end_pump()

    def connection_lost(self, exc: Exception | None) -> None:
        self.eof_received()
        self.closed = True
        if self.busy:
            self._broken(ConnectFailed("the backend closed the connection before it answered"))
        self.owner.lost(self)

    # -- httptools callbacks

    def on_message_begin(self) -> None:
        if self._ended:
            raise ValueError("an answer to which no request belongs")

    def on_header(self, name: bytes, value: bytes) -> None:
        kept = KEPT.get(name.lower())
        if kept is not None and not self._head_done:  # else it is a trailer
            setattr(self._reply, kept, value)

    def on_headers_complete(self) -> None:
        reply = self._reply
        reply.status = self.parser.get_status_code()
        if reply.status < 200:  # 100, 103: an interim answer; the real one follows
            self._reply = Reply()
            return
        self._head_done = True
        if reply.status in (204, 304):
            reply.framing = b"none"
        self.first_byte_s = self.last_byte_s
        if self._want_stream and reply.status == 200 and reply.content_type.startswith(EVENT_STREAM):
            self._pumping = self._ready = reply.streaming = True

    def on_body(self, data: bytes) -> None:
        self._chunks.append(data)

    def on_message_complete(self) -> None:
        if not self._head_done:  # the end of an interim answer
            return
        reply, chunks = self._reply, self._chunks
        if reply.framing is not None:
            self._keep_alive = self.parser.should_keep_alive()
        self.busy = False
        self._ended = True
        if not self._pumping:
            reply.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
            chunks.clear()
            self._ready = True

    # -- inside

    def _take_known(self, data: bytes) -> bool:
        """A whole answer with the head of an earlier one: what the parser's calls make of it, without them."""
        body = self._known.body(data)
        if body is None or len(data) > self._limits.answer:
            return False
        reply = self._reply
        reply.status = 200
        reply.content_type, reply.retry_after, reply.json_length = self._known.value
        reply.body = body
        self.first_byte_s = self.last_byte_s
        self.busy = False
        self._head_done = self._ended = self._keep_alive = True
        self._deliver()
        return True

    def _deliver(self) -> None:
        """Wakes who waits for the reply; never from within the parser, for the woken may use this connection again."""
        self._ready = False
        waiter, self._waiter = self._waiter, None
        reply = self._reply
        if not reply.streaming:
            self._done()
        if waiter is not None:
            waiter.set(reply)

    def _pass_on(self) -> None:
        """What came since the last time goes through `feed` to the sink, in one piece."""
        chunks = self._chunks
        assert self._sink is not None
        out = self._feed(chunks[0] if len(chunks) == 1 else b"".join(chunks))
        chunks.clear()
        if out:
            self._sink(out)

    def _end_pump(self) -> None:
        self._sink = None
        waiter, self._pump_waiter = self._pump_waiter, None
        self._done()
        if waiter is not None:
            waiter.set(None)

    def _done(self) -> None:
        if self._keep_alive and not self.closed:
            if self._paused:
                self.resume_reading()
            self.idle_since_s = self.last_byte_s
            self.owner.released(self)
        elif not self.closed:
            self.closed = True
            self.transport.close()

    def _fail(self, error: UpstreamError) -> None:
        waiter = self._waiter or self._pump_waiter
        self._waiter = self._pump_waiter = None
        self._sink = None
        if waiter is not None:
            waiter.fail(error)

    def _broken(self, error: UpstreamError) -> None:
        """The connection cannot go on. Once a head was seen, it is the answer that broke, not the connecting."""
        if not self.closed:
            self.closed = True
            self.transport.abort()
        if self._ready and self._reply.streaming:  # it began well: `pump` gives what came, and then the break
            self._deliver()
            return
        if self._pumping:
            if self._sink is not None and self._chunks:  # what came before the break is the caller's
                self._pass_on()
            error = StreamBroken(BROKEN_OFF)
        elif self._head_done and isinstance(error, ConnectFailed):
            error = UpstreamProtocol(BROKEN_OFF)
        self._fail(error)

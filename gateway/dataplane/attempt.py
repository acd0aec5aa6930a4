"""Getting an answer's first byte: which endpoint, again or elsewhere, until one begins to answer or none is left.

Where to go is decided by `policy.balance`, what to do after a failure by `policy.attempts`, who is in service by
`policy.health`; here it is carried out. All of it happens before the first byte reaches the caller; after that
nothing is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from gateway.backends.base import Backend, Endpoint
from gateway.backends.http1 import Connection, Reply
from gateway.config.snapshot import Caller, ModelRoute, Snapshot
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.errors import (
    NoEndpoint,
    UpstreamBusy,
    UpstreamError,
    UpstreamFailed,
    UpstreamProtocol,
    UpstreamRejected,
    UpstreamTimeout,
)
from gateway.policy import attempts, balance
from gateway.policy.conversation import HEADER as CONVERSATION_HEADER
from gateway.policy.conversation import conversation_key
from gateway.policy.resolve import Plan
from gateway.store.records import Attempt
from gateway.wire import body as wire_body
from gateway.wire.call import Call, Codec, outgoing

NOT_THE_CALLERS: Final = frozenset((401, 403, 404, 405, 407))
"""Refusals of our key, our path or our model name: the operator must act, and what they say is not for callers
(vLLM's 404 lists models).
"""

MAX_SALT_CHARS: Final = 256
NO_EXTRA: Final[Mapping[str, bytes]] = {}


class Upstream:
    """An endpoint that began to answer, or answered whole. `release` is called once, when the answer is over."""

    __slots__ = ("_gw", "connection", "endpoint", "reply")

    def __init__(self, gw: Gateway, endpoint: Endpoint, connection: Connection, reply: Reply) -> None:
        self._gw = gw
        self.endpoint = endpoint
        self.connection = connection
        self.reply = reply

    def broke(self, error: UpstreamError) -> None:
        """The answer broke off: told to the endpoint's circuit breaker."""
        self.endpoint.tell(error, self._gw.clock.monotonic_s())

    def release(self) -> None:
        """The stream is over, however it ended: one that has not come to its end is cancelled, which frees the GPU."""
        self.endpoint.view.outstanding -= 1
        if self.connection.busy:
            self.connection.abort()


class Attempts:
    """The attempts of one request: what they share, and one method for each thing they do."""

    __slots__ = ("_codec", "_deadline_s", "_ex", "_gw", "_record", "_snap", "_sticky", "call", "caller")

    def __init__(
        self, gw: Gateway, ex: Exchange, record: Recording, snap: Snapshot, caller: Caller, call: Call, codec: Codec
    ) -> None:
        self._gw = gw
        self._ex = ex
        self._record = record
        self._snap = snap
        self._codec = codec
        self._deadline_s = ex.received_s + snap.limits.total_s
        self._sticky: bytes | None = None
        self.caller = caller
        self.call = call

    async def first_byte(self, plan: Plan) -> Upstream:
        """The first answer that may be shown to the caller, trying the plan's routes in order.

        Raises the last `UpstreamError`, or `UpstreamRejected` with the backend's own words.
        """
        last: UpstreamError | None = None
        for left, route in zip(range(len(plan.routes) - 1, -1, -1), plan.routes, strict=True):
            found = await self._on_route(route, left, fallback=last is not None)
            if isinstance(found, Upstream):
                return found
            last = found
        assert last is not None
        raise last

    async def _on_route(self, route: ModelRoute, routes_left: int, *, fallback: bool) -> Upstream | UpstreamError:
        """An answer from this route's backend, or the error that says to go on to the next one. Raises when nothing
        is left to try.
        """
        gw = self._gw
        backend = gw.backends[route.backend]
        self._record.routed(route)
        body = self._body(route, backend)
        backend.retries.earn()
        tried: set[int] = set()
        number, reason, fresh = 1, "fallback" if fallback else "first", False
        while True:
            now = gw.clock.monotonic_s()
            choice = balance.choose(backend.views(now), self._key(backend), frozenset(tried), gw.random.random())
            error: UpstreamError = NoEndpoint("no endpoint of this model is in service")
            reused = False
            if choice is not None:
                endpoint = backend.endpoints[choice.index]
                row = Attempt(
                    backend.name, endpoint.name, reason, choice.reason, [view.outstanding for view in backend.seen]
                )
                try:
                    return await self._send(endpoint, body, row, fresh=fresh)
                except _Failed as failed:
                    error, reused = failed.error, failed.reused
                tried.add(choice.index)
            now = gw.clock.monotonic_s()
            following = attempts.decide(
                error,
                attempt_no=number,
                attempts_most=self._snap.retries.attempts,
                first_byte_sent=False,
                reused_connection=reused,
                endpoints_left=sum(view.available and view.index not in tried for view in backend.views(now)),
                routes_left=routes_left,
                budget=backend.retries,
                now_s=now,
                left_s=self._deadline_s - now,
                draw=gw.random.random(),
            )
            if following.action == "give_up":
                raise error
            if following.action == "fallback":
                return error
            if following.action == "again_fresh_connection":
                fresh, reason = True, "fresh_connection"
                tried.clear()
                continue
            fresh, reason = False, "retry"
            number += 1
            if following.reason == "same_endpoint":
                tried.clear()
            if following.delay_s:
                await asyncio.sleep(following.delay_s)

    async def _send(self, endpoint: Endpoint, body: bytes, row: Attempt, *, fresh: bool) -> Upstream:
        """One request to one endpoint. Raises `_Failed`, `UpstreamRejected`, `StoreUnavailable`; cancels the endpoint
        when cancelled.
        """
        gw, limits, record = self._gw, self._snap.limits, self._record
        record.open()
        record.attempted(row)
        view = endpoint.view
        endpoint.admitted(gw.clock.monotonic_s())
        view.outstanding += 1
        connection: Connection | None = None
        reused = False
        verdict = False
        try:
            connection = await endpoint.pool.acquire(fresh=fresh)
            reused = connection.requests_sent > 0
            row.sent_ms = record.elapsed_ms()
            reply = await connection.request(
                endpoint.head(self._codec.path, record.id, record.row.traceparent, len(body)),
                body,
                want_stream=self.call.stream,
                max_body=limits.answer,
                first_byte_s=limits.first_byte_s,
                idle_s=limits.idle_s,
                total_deadline_s=self._deadline_s,
            )
            assert reply is not None
            row.status = reply.status
            row.first_byte_ms = record.at_ms(connection.first_byte_s)
            error = judge(reply, self.call.stream)
            endpoint.tell(error, gw.clock.monotonic_s())
            verdict = True
            if error is not None:
                raise error
            row.code = "ok"
            if not reply.streaming:
                view.outstanding -= 1
            return Upstream(gw, endpoint, connection, reply)
        except BaseException as error:
            view.outstanding -= 1
            if connection is not None and connection.busy:
                connection.abort()
            if not verdict:
                endpoint.tell_end(error, gw.clock.monotonic_s(), reused=reused)
            row.code = error.code if isinstance(error, UpstreamError | UpstreamRejected) else "cancelled"
            row.ended_ms = record.elapsed_ms()
            if isinstance(error, UpstreamError):
                raise _Failed(error, reused=reused and row.status == 0) from None
            raise

    def _body(self, route: ModelRoute, backend: Backend) -> bytes:
        """The bytes for this backend. Raises InvalidRequest for a field that it must not be sent."""
        call = self.call
        dialect = backend.dialect
        dialect.refuse(call.fields)
        extra = NO_EXTRA
        if dialect.salts:
            own = wire_body.text(call.fields, "cache_salt", MAX_SALT_CHARS) if "cache_salt" in call.fields else None
            extra = {"cache_salt": self._gw.salt(self.caller.tenant.name, own or "")}
        return outgoing(call, route.served_model, route.served_model_json, call.stream, extra)

    def _key(self, backend: Backend) -> bytes | None:
        """The conversation's key, worked out once and only when there is a choice to make."""
        if len(backend.endpoints) == 1:
            return None
        if self._sticky is None:
            header = self._ex.headers.get(CONVERSATION_HEADER)
            self._sticky = conversation_key(self.caller.tenant.name, header, self.call, self._codec.opening) or b""
            self._record.row.conversation = self._sticky.hex()
        return self._sticky or None


class _Failed(Exception):
    """An attempt ended with an error that another attempt may cure."""

    def __init__(self, error: UpstreamError, *, reused: bool) -> None:
        super().__init__(error.code)
        self.error = error
        self.reused = reused


def judge(reply: Reply, want_stream: bool) -> UpstreamError | UpstreamRejected | None:
    """What a reply's head means; None when it is the answer. Redirects are never followed."""
    status = reply.status
    if status == 200:
        if want_stream and not reply.streaming:
            return UpstreamProtocol("the backend answered a stream with something else")
        return None
    if status in (429, 503):
        headers = () if reply.retry_after is None else (("retry-after", reply.retry_after.decode("latin-1")),)
        return UpstreamBusy("the backend is full at the moment", headers=headers)
    if status in (408, 504):
        return UpstreamTimeout(f"the backend gave up waiting (status {status})")
    if status >= 500 or status in NOT_THE_CALLERS:
        return UpstreamFailed(f"the backend failed with status {status}")
    if 400 <= status < 500:
        return UpstreamRejected(status, reply.content_type or b"application/json", reply.body)
    return UpstreamProtocol(f"the backend answered with status {status}")

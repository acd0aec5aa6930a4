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
from gateway.backends.http1 import Connection
from gateway.backends.reply import Reply
from gateway.backends.waiter import Waiter
from gateway.config.snapshot import ModelRoute, Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.dataplane import counting
from gateway.dataplane.admission import Admission
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.dataplane.replies import judge, not_kept
from gateway.errors import (
    GatewayError,
    InvalidRequest,
    MeterError,
    NoEndpoint,
    NotServed,
    UpstreamError,
)
from gateway.policy import attempts, balance
from gateway.policy.balance import Choice, EndpointView
from gateway.policy.conversation import HEADER as CONVERSATION_HEADER
from gateway.policy.conversation import conversation_key
from gateway.policy.meters import FELL_BACK
from gateway.policy.resolve import Plan
from gateway.store.records import Attempt
from gateway.wire import body as wire_body
from gateway.wire import running as wire_running
from gateway.wire import trace_ids
from gateway.wire.call import Call, Codec, Form
from gateway.wire.responses import codec as wire_responses

MAX_SALT_CHARS: Final = 256
DRAWS: Final = 2**53
"""`random` gives multiples of one part in so many: a draw is kept as that whole number, exactly."""
NO_EXTRA: Final[Mapping[str, bytes]] = {}
NOTHING: Final[frozenset[int]] = frozenset()


class Upstream:
    """An endpoint that began to answer, or answered whole. A stream is given back with `release`, once."""

    __slots__ = ("_gw", "_serial", "attempt", "connection", "endpoint", "form", "reply")

    def __init__(
        self, gw: Gateway, endpoint: Endpoint, form: Form, connection: Connection, reply: Reply, attempt: Attempt
    ) -> None:
        self._gw = gw
        self._serial = connection.requests_sent
        self.endpoint = endpoint
        self.form = form
        self.connection = connection
        self.reply = reply
        self.attempt = attempt

    def broke(self, error: UpstreamError) -> None:
        """The answer broke off: told to the endpoint's circuit breaker and to the record."""
        self.attempt.code = error.code
        self.endpoint.tell(error, self._gw.clock.monotonic_s())

    @property
    def runs(self) -> bool:
        """Whether the answer has not come to its end. The connection of one that has may be another request's by now,
        and is to be left alone.
        """
        return self.connection.busy and self.connection.requests_sent == self._serial

    def release(self) -> None:
        """The stream is over, however it ended: one that has not come to its end is cancelled, which frees the GPU."""
        self.endpoint.view.outstanding -= 1
        if self.runs:
            self.connection.abort()


class Attempts:
    """The attempts of one request: what they share, and one method for each thing they do."""

    __slots__ = (
        "_admission",
        "_asked",
        "_backends",
        "_codec",
        "_deadline_s",
        "_draw",
        "_ex",
        "_gw",
        "_record",
        "_runs",
        "_snap",
        "_sticky",
        "call",
        "caller",
    )

    def __init__(
        self,
        gw: Gateway,
        ex: Exchange,
        record: Recording,
        snap: Snapshot,
        backends: Mapping[str, Backend],
        caller: Caller,
        call: Call,
        codec: Codec,
        admission: Admission | None = None,
        asked: Call | None = None,
    ) -> None:
        """`call` as it was let in by `admission`, `asked` as it came where that is another."""
        self._gw = gw
        self._admission = admission
        self._asked = asked or call
        self._backends = backends
        self._ex = ex
        self._record = record
        self._snap = snap
        self._codec = codec
        self._deadline_s = ex.received_s + snap.limits.total_s
        self._sticky: bytes | None = None
        self._draw = 0
        self._runs = record.hold is not None and record.running
        self.caller = caller
        self.call = call

    async def first_byte(self, plan: Plan) -> Upstream:
        """The first answer that may be shown to the caller: the plan's routes in order, each with its attempts.

        Raises the last `UpstreamError`, or `UpstreamRejected` with the backend's own words. `call` is then as the route
        that answered was asked.
        """
        reason = "first"
        # What goes on from a kept answer can be asked only where that is.
        routes = plan.routes if self.call.continues is None else plan.routes[:1]
        routes_left = len(routes)
        failed: _Failed | None = None
        for route in routes:
            routes_left -= 1
            backend = self._backends[route.backend]
            try:
                form = self._form(backend)
                body = self._body(route, backend, form)
            except (InvalidRequest, NotServed):
                if failed is None:
                    self._record.routed(route)
                    raise
                if routes_left:
                    continue
                raise failed.error from None  # that a fallback cannot be asked this is no fault of the request's
            if failed is not None:
                if not await self._moves(route):
                    if routes_left:
                        continue
                    raise failed.error
                body = self._body(route, backend, form)
            self._record.routed(route)
            backend.retries.earn()
            tried = NOTHING
            number, fresh = 1, False
            while True:
                now = self._gw.clock.monotonic_s()
                choice = self._choose(backend, tried, now)
                if choice is None:
                    failed = _Failed(NoEndpoint("no endpoint of this model is in service"), reused=False)
                else:
                    if backend.keeps_responses and self.call.endpoint == "responses":
                        body = self._body(route, backend, form, backend.seen[choice.index])
                    try:
                        return await self._send(backend, form, choice, reason, body, now, fresh)
                    except _Failed as error:
                        failed = error
                        tried |= {choice.index}
                following = self._after(failed, backend, number, tried, routes_left, told=choice is not None)
                if following.action == "give_up":
                    raise failed.error
                if following.action == "fallback":  # policy says so only while routes are left
                    reason = "fallback"
                    break
                if following.action == "again_fresh_connection":
                    fresh, reason, tried = True, "fresh_connection", NOTHING
                    continue
                fresh, reason = False, "retry"
                number += 1
                if following.reason == "same_endpoint":
                    tried = NOTHING
                if following.delay_s:
                    await asyncio.sleep(following.delay_s)
        raise AssertionError("the last route either answers or raises")

    async def _moves(self, route: ModelRoute) -> bool:
        """Whether another model may be asked: where its meters count the request, only on its own terms."""
        record, admission = self._record, self._admission
        if record.hold is not None and admission is not None:
            try:
                self.call = await admission.fall_back(record, self.caller, self._asked, route, self._codec)
            except MeterError:
                return False
            self._runs = record.running
        record.acted(FELL_BACK + route.alias)
        record.moved()
        return True

    async def _send(
        self, backend: Backend, form: Form, choice: Choice, reason: str, body: bytes, now: float, fresh: bool
    ) -> Upstream:
        """One request to one endpoint, cancelled with us. Raises `_Failed`, `UpstreamRejected`, `StoreUnavailable`."""
        record, endpoint, call = self._record, backend.endpoints[choice.index], self.call
        view = endpoint.view
        record.open()
        row = self._begun(backend, endpoint, choice, reason)
        endpoint.admitted(now)
        view.outstanding += 1
        connection: Connection | None = None
        reused = verdict = False
        try:
            connection = None if fresh else endpoint.pool.take()
            if connection is None:
                connection = await endpoint.pool.connect()
                now = self._gw.clock.monotonic_s()
            else:
                reused = True
            row.sent_ms = record.at_ms(now)
            waiter = self._ask(endpoint, connection, form, body, now)
            left: asyncio.CancelledError | None = None
            try:
                reply = await waiter
            except asyncio.CancelledError as cancelled:
                left, reply = cancelled, Reply()
            if left is not None:  # not waited for in the except block: compiled coroutines do not survive that
                if self._runs:
                    await counting.count_unheard(record, self.call, connection, waiter)
                raise left
            row.status = reply.status
            row.first_byte_ms = record.at_ms(connection.first_byte_s)
            error = None if reply.status == 200 and reply.streaming is call.stream else judge(reply, form, call)
            endpoint.tell(error, connection.last_byte_s)
            verdict = True
            if error is not None:
                raise error
            row.code = "ok"
            if not reply.streaming:
                view.outstanding -= 1
            record.row.first_byte_ms = row.first_byte_ms
            return Upstream(self._gw, endpoint, form, connection, reply, row)
        except BaseException as error:
            view.outstanding -= 1
            if not verdict:
                if connection is not None and connection.busy:
                    connection.abort()
                endpoint.tell_end(error, self._gw.clock.monotonic_s(), reused=reused)
            row.code = error.code if isinstance(error, GatewayError) else "cancelled"
            row.ended_ms = record.elapsed_ms()
            if isinstance(error, UpstreamError):
                raise _Failed(error, reused=reused and row.status == 0) from None
            raise

    def _begun(self, backend: Backend, endpoint: Endpoint, choice: Choice, reason: str) -> Attempt:
        """The row of an attempt, which from now on is one."""
        row = Attempt(backend.name, endpoint.name, reason, choice.reason, backend.loads())
        if len(row.loads) > 1:
            row.out_of_service = [view.index for view in backend.seen if not view.available]
            row.draw = self._draw if choice.reason == balance.LEAST else 0
        self._record.row.attempts.append(row)
        return row

    def _ask(self, endpoint: Endpoint, connection: Connection, form: Form, body: bytes, now: float) -> Waiter[Reply]:
        """Puts the request on the wire."""
        record, call = self._record, self.call
        head = endpoint.head(
            form.path if form.path_for is None else form.path_for(record.row.served_model),
            record.id,
            self._traceparent(),
            call.content_type,
            len(body),
            form.method,
            call.header_lines,
        )
        return connection.request(head, body, call.stream, self._snap.limits, self._deadline_s, now)

    def _traceparent(self) -> str:
        """The newest attempt's span, for its backend; where nobody is told of it, the caller's as it is."""
        record, traces = self._record, self._snap.traces
        if traces is None:
            return record.row.traceparent
        return trace_ids.passed_on(record.row.traceparent, record.id, len(record.row.attempts), traces)

    def _choose(self, backend: Backend, tried: frozenset[int], now: float) -> Choice | None:
        """Where to; the conversation's key is worked out once, and only when there is a choice to make."""
        views = backend.views(now)
        if self.call.continues is not None:
            index = self._kept_at(backend, self.call.continues)
            return balance.pinned(views[index], tried)
        if len(views) == 1:
            return balance.choose(views, None, tried, 0.0)
        if self._sticky is None:
            header = self._ex.headers.get(CONVERSATION_HEADER)
            self._sticky = conversation_key(self.caller.tenant.name, header, self.call, self._codec.opening) or b""
            self._record.row.conversation = self._sticky.hex()
        draw = self._gw.random.random()
        self._draw = int(draw * DRAWS)
        return balance.choose(views, self._sticky or None, tried, draw)

    def _after(
        self, failed: _Failed, backend: Backend, number: int, tried: frozenset[int], routes_left: int, *, told: bool
    ) -> attempts.Next:
        """What policy says to a failed attempt; told to its row, if it has one."""
        now = self._gw.clock.monotonic_s()
        left = sum(view.available and view.index not in tried for view in backend.views(now))
        found = attempts.decide(
            failed.error,
            attempt_no=number,
            attempts_most=self._snap.retries.attempts,
            first_byte_sent=False,
            reused_connection=failed.reused,
            endpoints_left=left,
            routes_left=routes_left,
            left_s=self._deadline_s - now,
            budget=backend.retries,
            now_s=now,
            draw=self._gw.random.random(),
        )
        if told:
            row = self._record.row.attempts[-1]
            row.endpoints_left, row.then = left, found.reason
        return found

    def _kept_at(self, backend: Backend, response_id: str) -> int:
        """The endpoint that has the answer this call goes on from. Raises InvalidRequest when none has."""
        if not backend.keeps_responses:
            words = "nothing is kept between requests: send the whole input, with the items of the earlier answers"
            raise InvalidRequest(f"previous_response_id: {words}", param="previous_response_id")
        index = self._gw.kept_at(self.caller.tenant.name, response_id, backend.seen)
        if index is None:
            raise not_kept()
        return index

    def _form(self, backend: Backend) -> Form:
        """How this backend is asked. Raises NotServed when it cannot be."""
        codec, speaks = self._codec, backend.dialect.speaks
        if codec.endpoint in speaks:
            return codec.native
        if codec.translated is None or "chat" not in speaks:
            raise NotServed(codec.native.missing)
        return codec.translated

    def _body(self, route: ModelRoute, backend: Backend, form: Form, keeper: EndpointView | None = None) -> bytes:
        """The bytes for this backend, or for the endpoint of it that will keep the answer. Raises InvalidRequest for a
        field that it must not be sent.
        """
        call = self.call
        dialect = backend.dialect
        dialect.refuse(call.fields)
        extra = NO_EXTRA
        if dialect.salts:
            own = wire_body.text(call.fields, "cache_salt", MAX_SALT_CHARS) if "cache_salt" in call.fields else None
            extra = {"cache_salt": self._gw.salt(self.caller.tenant.name, own or "")}
        if self._runs:
            extra = {**extra, "stream_options": wire_running.options(call)}
        if keeper is not None:
            answer_id = self._gw.kept_name(self.caller.tenant.name, keeper, self._record.id)
            extra = {**extra, wire_responses.ANSWER_ID: answer_id}
        return form.outgoing(call, route.served_model, route.served_model_json, extra)


class _Failed(Exception):
    """An attempt ended with an error that another attempt may cure."""

    def __init__(self, error: UpstreamError, *, reused: bool) -> None:
        super().__init__(error.code)
        self.error = error
        self.reused = reused

"""A request's record while it lives: filled step by step, opened before a backend is called, closed before the last
byte leaves.
"""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

import msgspec

from gateway.config.snapshot import ClassicVersion, ModelRoute, Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.dataplane import meter_answers, settling
from gateway.dataplane.admitted import Admitted
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.errors import CallerError, Draining, GatewayError, MeterError, StoreUnavailable, UpstreamRejected
from gateway.policy import timings
from gateway.policy.conversation import HEADER as CONVERSATION
from gateway.policy.conversation import conversation_key
from gateway.store.records import Opened
from gateway.store.request_row import RequestRow
from gateway.wire import trace
from gateway.wire.call import Call
from gateway.wire.infer.paths import Target
from gateway.wire.infer.request import InferCall
from gateway.wire.usage import Usage

_FULL: Final = "the journal's disk is full: nothing is served unrecorded"
S = TypeVar("S", bound="Screened")


def _nothing(call: Call) -> bytes:
    """How it opens is not looked at here."""
    return b""


class Screened(Protocol):
    """What checked the request's texts."""

    def verdicts(self) -> str:
        """What was found so far, in the words of a record."""
        ...

    def timings(self) -> str:
        """What took how long, in those words; what is not over ends now."""
        ...


class Kept(Protocol):
    """What keeps what is said in the request."""

    def ended(self) -> None:
        """Nothing more is sent, and the record is closed."""
        ...


class Recording(Admitted):
    """Writes one `Record`. `close` and its kin may be called again: the first one counts."""

    __slots__ = ("_closed", "_ex", "_gw", "_id_header", "_opened", "_screening", "content", "id")

    def __init__(self, gw: Gateway, ex: Exchange) -> None:
        started_ns = gw.clock.wall_ns()
        self.id = gw.ids.next(started_ns)
        super().__init__(RequestRow(self.id, started_ns), ex.headers)
        self._gw = gw
        self._ex = ex
        self._opened = False
        self._id_header = b""
        self._closed = False
        self._screening: Screened | None = None
        self.content: Kept | None = None
        headers = self.headers
        if b"x-request-id" in headers or b"x-client-request-id" in headers or b"traceparent" in headers:
            own = headers.get(b"x-request-id") or headers.get(b"x-client-request-id", b"")
            self.row.caller_request_id = trace.caller_id(own)
            self.row.traceparent = trace.parent(headers.get(b"traceparent", b""))

    # -- what each step learned; each returns its argument so that the path reads as a line

    def begin(self, endpoint: str, snap: Snapshot, id_header: bytes = b"") -> None:
        """`id_header` is where the endpoint's callers look for our id too (`Shape.id_header`)."""
        self._id_header = id_header
        self.row.endpoint = endpoint
        self.row.snapshot = snap.digest

    def identified(self, caller: Caller) -> Caller:
        self.row.tenant = caller.tenant.name
        self.row.key = caller.key
        return caller

    def booked(self, project: str) -> None:
        """The project it is booked to; "" for none."""
        self.row.project = project

    def parsed(self, call: Call) -> Call:
        row = self.row
        row.alias = call.alias
        row.stream = call.stream
        if call.end_user is not None:
            row.end_user = call.end_user
        if call.continues is None and (call.conversation is not None or CONVERSATION in self.headers):
            key = conversation_key(row.tenant, self.headers.get(CONVERSATION), call, _nothing)
            row.conversation = (key or b"").hex()
        return call

    def aimed(self, target: Target) -> Target:
        """The model a path names."""
        self.row.alias = target.alias
        self.row.version = target.version
        return target

    def asked(self, call: InferCall) -> InferCall:
        """The same as `parsed`, for a classic model."""
        self.row.rows = call.rows
        return call

    def screened(self, screening: S) -> S:
        """What will know, when the request ends, what its checks found."""
        self._screening = screening
        return screening

    def routed(self, route: ModelRoute) -> None:
        """The route tried now."""
        self.row.backend = route.backend
        self.row.served_model = route.served_model

    def runs_here(self, version: ClassicVersion) -> None:
        """The version of a classic model that answers, in this process."""
        row = self.row
        row.backend = "onnx"
        row.served_model = version.alias
        row.version = version.version

    def ran(self, moments: list[float]) -> None:
        """Between these moments of the monotonic clock; where the second is missing, until now, and where both are, not
        at all."""
        if moments:
            began_s, ended_s = moments[0], moments[1] if len(moments) > 1 else self._gw.clock.monotonic_s()
            self.row.timings = timings.ran(began_s - self._ex.received_s, ended_s - self._ex.received_s)

    def open(self) -> None:
        """Before a backend is called. Raises `StoreUnavailable` when the journal cannot take it: nothing is served
        unrecorded.
        """
        if self._opened:
            return
        journal = self._gw.journal
        if not journal.accepts_new:
            raise StoreUnavailable(_FULL)
        journal.open(self._entry())
        self._opened = True

    def _entry(self) -> Opened:
        row = self.row
        held_input = held_output = held_nanos = 0
        if self.hold is not None:
            _, held_input, held_output, _, held_nanos = self.hold.amounts
        # fmt: off
        return Opened(  # by position, without a tuple in between: there is one for every request
            self.id, row.started_ns, row.tenant, row.key, row.endpoint, row.alias, row.backend, row.snapshot,
            row.stream, held_input, held_output, held_nanos, row.end_user, row.conversation, row.action, row.project,
        )
        # fmt: on

    def holds_more(self, output_tokens: int, nanos: int) -> bool:
        """The hold grew: written to the journal before it may be used. False when it cannot be."""
        row = self.row
        row.asked_output = row.asked_output or row.held_output
        row.held_output += output_tokens
        row.held_nanos += nanos
        return not self._opened or self._gw.journal.held(self._entry())

    def holds_for_judges(self, nanos: int) -> bool:
        """The same for what a model may cost that judges a text."""
        self.judge_held += nanos
        self.row.judge_nanos += nanos
        return not self._opened or self._gw.journal.held(self._entry())

    def moved(self) -> None:
        """Another model is asked on its own terms. Raises `StoreUnavailable` when the journal cannot take that."""
        if self._opened and not self._gw.journal.held(msgspec.structs.replace(self._entry(), moved=True)):
            raise StoreUnavailable(_FULL)

    def used(self, usage: Usage | None) -> None:
        """Usage as last known; None leaves what is known."""
        if usage is not None:
            row = self.row
            row.input_tokens = usage.input_tokens
            row.cached_input_tokens = usage.cached_input_tokens
            row.output_tokens = usage.output_tokens
            row.reasoning_tokens = usage.reasoning_tokens

    def elapsed_ms(self) -> float:
        """Milliseconds since the request began to arrive."""
        return (self._gw.clock.monotonic_s() - self._ex.received_s) * 1e3

    def at_ms(self, monotonic_s: float) -> float:
        """The same for a moment of the monotonic clock."""
        return (monotonic_s - self._ex.received_s) * 1e3

    def answer_headers(self, content_type: bytes) -> bytes:
        """The headers of every answer: content type, our id, and beside it the caller's own."""
        metered = b"" if self.hold is None else meter_answers.lines(self, self._gw.date_line)
        headers = b"content-type: %b\r\nx-request-id: %b\r\n%b" % (content_type, self.id.encode(), metered)
        if self._id_header:
            headers += b"%b: %b\r\n" % (self._id_header, self.id.encode())
        return headers + self.caller_header if self.row.caller_request_id else headers

    @property
    def caller_header(self) -> bytes:
        """The caller's own request id, as a header line; b"" when it sent none."""
        own = self.row.caller_request_id
        return b"x-client-request-id: %b\r\n" % own.encode() if own else b""

    # -- the end: exactly once

    def told(self, error: GatewayError) -> GatewayError:
        """What the caller is told instead of an error that is not its own, of which no record could be kept: a refusal
        by a meter, or that no endpoint is in service."""
        if not isinstance(error, CallerError) and not self._opened and not self._gw.journal.accepts_new:
            return StoreUnavailable(_FULL)
        return error

    def close(self, status: int, code: str, outcome: str, answer_bytes: int) -> None:
        """Writes the record."""
        if self._closed:
            return
        self._closed = True
        row = self.row
        if self._screening is not None:
            row.verdicts = self._screening.verdicts()
            row.timings = f"{self._screening.timings()} {row.timings}".strip()
        row.status = status
        row.code = code
        row.outcome = outcome
        row.total_ms = self.elapsed_ms()
        if row.attempts and not row.attempts[-1].ended_ms:  # the one that answered, or was cut
            row.attempts[-1].ended_ms = row.total_ms
        row.body_bytes = self._ex.body_bytes
        row.answer_bytes = answer_bytes
        if self.hold is not None:
            leasing = self._gw.leasing
            assert leasing is not None
            settling.settle(self, leasing)
        if self._opened:
            self._gw.journal.close(row.fields())
        else:
            self._gw.journal.add(row.fields())

    def failed(self, error: GatewayError, status: int, answer_bytes: int) -> None:
        """Closes with an error: refused when it is the caller's or ours to refuse, failed when it is not."""
        refused = (
            isinstance(error, CallerError | MeterError | UpstreamRejected | StoreUnavailable | Draining)
            and not self._ex.started
        )
        self.close(status, error.code, "refused" if refused else "failed", answer_bytes)

    def ended(self) -> None:
        """Whatever happened: a request that was not closed by now was left by its caller."""
        if not self._closed:
            self.close(200 if self._ex.started else 0, "cancelled", "cancelled", self._ex.answer_bytes)
        if self.content is not None:
            self.content.ended()

"""An answer that is streamed and metered while it runs: it goes on as long as what it holds can grow, one step ahead
of what it produces, and ends cleanly where that ends.

What passes is decided by the running relay (`wire.running`); this moves it, asks for more in time, and hangs up on an
upstream that nobody will pay for, or of which no check lets anything more pass. The steps a request holds are in the
journal before they are used.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from gateway.backends.http1 import EVENT_STREAM
from gateway.backends.waiter import Waiter
from gateway.dataplane import counting, meter_answers
from gateway.dataplane.attempt import Upstream
from gateway.dataplane.edited_stream import EditedStream, break_off
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.dataplane.screening import Screening
from gateway.errors import MetersUnavailable, StreamBroken, UpstreamError
from gateway.policy import bounds
from gateway.policy.leases import Hold
from gateway.policy.terms import FIRST_STEP
from gateway.wire import last_frame
from gateway.wire import running as wire_running
from gateway.wire.call import CHUNKS, Call, Codec
from gateway.wire.usage import Usage

AHEAD: Final = FIRST_STEP
"""More is asked for when no more output tokens than these are left of the hold: what is made while others are asked to
give back is then still covered.
"""
UNPAID: Final = FIRST_STEP // 4
"""An answer that waits for more is cut when the upstream has made so many output tokens beyond the hold (the rest of a
step is for what is made until it notices) …"""
UNPAID_BYTES: Final = FIRST_STEP
"""… or so many where bytes are counted, of which a token has some four …"""
UNPAID_S: Final = 0.15
"""… and so much time went by since: what came late and all at once is made already …"""
UNREAD_S: Final = 0.02
"""… and so much more since that was seen: on a machine that is full, the reply that there is more may have come
meanwhile, and wait to be read."""
_WAIT_S: Final = 0.05
"""How long a stream waits for what others give back: its upstream goes on meanwhile."""
_SMALLER: Final = 4
"""A step that is not to be had is tried again with what is known to be left, or at this part of its size, down to one
token …"""
_SMALLER_WAIT_S: Final = 0.005
"""… with little patience, since others have been asked by then."""
_encode: Final = msgspec.json.Encoder().encode


async def relay(
    gw: Gateway,
    ex: Exchange,
    record: Recording,
    call: Call,
    codec: Codec,
    upstream: Upstream,
    screening: Screening | None,
) -> None:
    """Relays the stream to its end, or to the end of what pays for it. A caller that leaves cancels this; what was
    made for it until the upstream noticed is counted. With `screening` the caller gets what its checks let through.
    """
    edits = None if screening is None else EditedStream(ex, screening, call)
    stream = _Stream(gw, ex, record, call, codec, upstream, edits)
    if edits is not None:
        edits.on_block = stream.block
    connection = upstream.connection
    ex.start(200, record.answer_headers(upstream.reply.content_type or EVENT_STREAM))
    ex.source = connection
    if ex.throttled:
        connection.pause_reading()
    stream.begin()
    broken: UpstreamError | None = None
    left: asyncio.CancelledError | None = None
    pumping = connection.pump(stream.feed, ex.send)
    try:
        try:
            await pumping
            await stream.rest()
        except UpstreamError as error:
            broken = error
        except asyncio.CancelledError as cancelled:
            left = cancelled
        if left is not None:  # not waited for in the except block: compiled coroutines do not survive that
            await stream.leave(pumping)
            raise left
    finally:
        stream.over = True
        stream.stop()
        ex.source = None
        counting.settled(record, stream.running, stream.passed)
        upstream.release()
    if stream.cut_by or stream.blocked:
        rest = _cut_frames(record, call, stream) if stream.cut_by else _blocked_frames(record, call, stream)
        if edits is not None:
            rest = await edits.last(rest)
        record.close(200, "ok", "answered", ex.answer_bytes + len(rest))
        ex.end(rest)
        return
    passing = stream.passing
    if broken is not None and not passing.complete:
        await break_off(ex, record, codec, upstream, edits, broken, mid_frame=passing.mid_frame)
        return
    rest = passing.finish()
    counting.settled(record, stream.running, stream.running.produced)
    if not call.asks_usage and not passing.failed and (note := stream.note()):
        rest = last_frame.noted(rest, note)
    if edits is not None:
        rest = await edits.last(rest)
    failed = passing.failed or (edits is not None and edits.failed)
    code, outcome = (StreamBroken.code, "failed") if failed else ("ok", "answered")
    record.close(200, code, outcome, ex.answer_bytes + len(rest))
    ex.end(rest)


def _cut_frames(record: Recording, call: Call, stream: _Stream) -> bytes:
    """The end of an answer whose budget ended: the frames that say so."""
    record.acted("cut")
    note = meter_answers.note(record, stream.used, stream.cut_by)
    frames = stream.passing.cut(last_frame.member(note), _counts(record, stream))
    if call.endpoint not in CHUNKS:  # what was said in chunks is not there any more
        frames = last_frame.noted(frames, note)
    return frames


def _blocked_frames(record: Recording, call: Call, stream: _Stream) -> bytes:
    """The end of an answer that checks have ended: the frames behind those that say so."""
    note = stream.note()
    member = last_frame.member(note) if note else b""
    frames = stream.passing.end(member, _counts(record, stream))
    if note and not (call.asks_usage and call.endpoint in CHUNKS):
        frames = last_frame.noted(frames, note)
    return frames


def _counts(record: Recording, stream: _Stream) -> bytes:
    """The usage of an answer that ends early."""
    row, said = record.row, stream.passed
    asked = (row.input_tokens or 0) + (row.cached_input_tokens or 0)
    return _encode({"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said})


class _Stream:
    """One stream. `over`: nothing passes any more; `passed`: output tokens that the caller got, or checks read;
    `cut_by`: the key of the bucket that ended it; `blocked`: checks did.
    """

    __slots__ = (
        *("_asking", "_ended", "_ex", "_exhausted", "_leasing", "_loop", "_record", "_send", "_since_s", "_step"),
        *(
            "_late_s",
            "_target",
            "_timer",
            "_upstream",
            "_waiter",
            "blocked",
            "cut_by",
            "over",
            "passed",
            "passing",
            "running",
        ),
    )

    def __init__(
        self,
        gw: Gateway,
        ex: Exchange,
        record: Recording,
        call: Call,
        codec: Codec,
        upstream: Upstream,
        edits: EditedStream | None,
    ) -> None:
        assert gw.leasing is not None
        native = upstream.form is codec.native
        passing = wire_running.of(call, native, upstream.form.relay(call))
        self.passing = passing
        self.running = passing.running if isinstance(passing, wire_running.Translated) else passing
        self.running.limit = record.row.held_output
        if record.terms.money:
            self.running.note = lambda: last_frame.member(self.note())
        self._target = bounds.output_tokens(call, 0) if bounds.limited(call) else wire_running.NO_LIMIT
        self._leasing = gw.leasing
        self._loop = asyncio.get_running_loop()
        self._send = ex.send if edits is None else edits.send
        self._ex = ex
        self._record = record
        self._upstream = upstream
        self._asking: asyncio.Task[tuple[int, int]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiter: Waiter[None] | None = None
        self._exhausted = self._ended = False
        self._since_s = self._late_s = 0.0
        self._step = FIRST_STEP
        self.running.most = counting.most_believed(record, call)
        self.over = False
        self.passed = 0
        self.cut_by = ""
        self.blocked = False

    def feed(self, data: bytes) -> bytes:
        """From the connection. What passes is sent here, so that nothing is left to do when this hangs up."""
        out = self.passing.feed(data)
        if not self.over:
            self.passed = self.running.passed
            if out:
                self._send(out)
            if self.running.produced + AHEAD > self.running.limit:
                self._look()
        return b""

    def begin(self) -> None:
        """Where little was to be had for a beginning, more is asked for before anything has come."""
        if self.running.limit < AHEAD:
            self._look()

    @property
    def used(self) -> Usage | None:
        """What the caller pays for by now; None where nothing counts."""
        usage = self.running.usage
        if usage is None:
            return None
        passed = self.running.passed
        thought = min(usage.reasoning_tokens, passed)
        return Usage(usage.input_tokens, usage.cached_input_tokens, passed - thought, thought)

    def note(self) -> bytes:
        """What the last frame tells."""
        return meter_answers.note(self._record, self.used)

    async def rest(self) -> None:
        """The upstream ended: waits until what it sent has passed, or is known not to."""
        self._ended = True
        while self.running.blocked and not self.over:
            self._look()
            if self._asking is not None:
                self._waiter = Waiter()
                await self._waiter

    def block(self) -> None:
        """Checks have ended the answer: the upstream is hung up on, and what it had made is counted."""
        if self.over:
            return
        self.blocked = True
        self._end()
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.set(None)

    async def leave(self, pumping: Waiter[None]) -> None:
        """The caller left: hangs up, and reads what was made by then."""
        self.over = True
        self.stop()
        if pumping.done:
            return
        self._hang_up(counting.LEFT_DRAIN_S if self._ex.gone else counting.CUT_DRAIN_S)
        try:
            await pumping
        except UpstreamError:
            return

    def stop(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()
        if self._asking is not None:
            self._asking.cancel()

    # -- inside

    def _look(self) -> None:
        """The hold nears its end: asks for more, waits for it, or cuts."""
        running = self.running
        if running.finished and not running.blocked:
            return
        if running.limit >= self._target:  # it was told to stop there: should it not, the record says so
            if running.blocked:
                running.limit = wire_running.NO_LIMIT
                self.feed(b"")
            return
        if not self._exhausted and self._asking is None:
            self._ask()
        if self._asking is not None:
            if self._waits_too_long():
                self._cut()
        elif self._exhausted and (running.blocked or running.produced >= running.limit):
            self._cut()

    def _waits_too_long(self) -> bool:
        """Whether too much is made while more is asked for: it may be for nobody."""
        running = self.running
        beyond = running.produced - running.limit
        if beyond < 0 or self._ended:
            return False
        now_s = self._loop.time()
        self._since_s = self._since_s or now_s
        unpaid = UNPAID if running.usage is not None else UNPAID_BYTES
        if beyond < unpaid or now_s - self._since_s < UNPAID_S:
            return False
        self._late_s = self._late_s or now_s
        return now_s - self._late_s >= UNREAD_S

    def _ask(self) -> None:
        hold = self._record.hold
        assert hold is not None
        running = self.running
        tokens = min(max(self._step, running.produced - running.limit), self._target - running.limit)
        nanos = self._nanos(tokens)
        if self._leasing.extend_now(hold, tokens, nanos):
            self._grown(tokens, nanos)
            if running.blocked:
                self.feed(b"")
            return
        self._asking = self._loop.create_task(self._more(hold, tokens))
        self._asking.add_done_callback(self._asked)

    async def _more(self, hold: Hold, tokens: int) -> tuple[int, int]:
        """How many more tokens are to be had, up to these, and the money held for them; zeros when none."""
        wait_s = _WAIT_S
        tokens = self._known(tokens) or tokens
        while tokens:
            nanos = self._nanos(tokens)
            try:
                if await self._leasing.extend(hold, tokens, nanos, wait_s):
                    return tokens, nanos
            except MetersUnavailable:
                break
            wait_s = _SMALLER_WAIT_S
            tokens = self._known(tokens) or (max(1, tokens // _SMALLER) if tokens > 1 else 0)
        return 0, 0

    def _known(self, tokens: int) -> int:
        """What is known to be left where that is something, but less than these: to be had at once. Else 0."""
        left = self._record.terms.affordable()
        return left if 0 < left < tokens else 0

    def _nanos(self, tokens: int) -> int:
        """The money that so many more tokens need beyond what is held: by now the input is counted, and what was held
        for more of it pays for output.
        """
        row, usage = self._record.row, self.running.usage
        given = row.held_input if usage is None else usage.input_tokens + usage.cached_input_tokens
        return max(0, self._record.terms.needs(given, row.held_output + tokens)[4] - row.held_nanos)

    def _asked(self, task: asyncio.Task[tuple[int, int]]) -> None:
        self._asking = None
        if self.over or task.cancelled():
            return
        tokens, nanos = task.result()
        if tokens:
            self._step = min(tokens, FIRST_STEP)
            self._grown(tokens, nanos)
        else:
            self._exhausted = True
        self.feed(b"")
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            waiter.set(None)

    def _grown(self, tokens: int, nanos: int) -> None:
        """The hold is larger; its journal entry comes first."""
        if self._record.holds_more(tokens, nanos):
            self.running.limit += tokens
            self._since_s = self._late_s = 0.0
        else:
            self._exhausted = True

    def _cut(self) -> None:
        """Nothing more is to be had: the upstream is hung up on, and what it had made is counted."""
        record = self._record
        nanos = self._nanos(1)
        short = [each for each in record.terms.bundle.lengthening if each.remaining < (nanos if each.quantity else 1)]
        tightest = short or sorted(record.terms.bundle.lengthening, key=lambda each: each.remaining)
        self.cut_by = tightest[0].key
        record.row.readings.append((tightest[0].key, tightest[0].used, tightest[0].cap))
        self._end()

    def _end(self) -> None:
        """Nothing passes any more."""
        self.over = True
        if self._asking is not None:
            self._asking.cancel()
        self._record.row.attempts[-1].ended_ms = self._record.elapsed_ms()
        self._hang_up(counting.CUT_DRAIN_S)

    def _hang_up(self, within_s: float) -> None:
        if self._upstream.runs:
            connection = self._upstream.connection
            self._timer = self._loop.call_later(within_s, connection.abort)
            connection.hang_up()

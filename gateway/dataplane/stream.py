"""An answer that is streamed: bytes pass as they come, without a task, a queue or a decoded frame in between.

The form's `relay` (wire) decides what passes; this moves it. The upstream's socket is paused while the caller does
not keep up.
"""

from __future__ import annotations

from gateway.backends.http1 import EVENT_STREAM
from gateway.dataplane import counting, meter_answers
from gateway.dataplane.attempt import Upstream
from gateway.dataplane.edited_stream import EditedStream, break_off
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.recording import Recording
from gateway.dataplane.screening import Screening
from gateway.errors import StreamBroken, UpstreamError
from gateway.wire import last_frame
from gateway.wire.call import CHUNKS, Call, Codec, Passing
from gateway.wire.relay import DONE_FRAME, Relay


async def relay(
    ex: Exchange, record: Recording, call: Call, codec: Codec, upstream: Upstream, screening: Screening | None
) -> None:
    """Relays the stream to its end. A stream that breaks ends with an error frame, which official SDKs raise on; a
    caller that leaves cancels this, and with it the upstream. With `screening` the caller gets what its checks let
    through, and an upstream is hung up on of which nothing more can pass.
    """
    passing = upstream.form.relay(call)
    in_usage = record.hold is not None and record.terms.money and call.asks_usage and isinstance(passing, Relay)
    if in_usage:
        assert isinstance(passing, Relay)
        passing.note = lambda: last_frame.member(meter_answers.note(record, passing.usage))
    ex.start(200, record.answer_headers(upstream.reply.content_type or EVENT_STREAM))
    edits = None if screening is None else EditedStream(ex, screening, call)
    broken: UpstreamError | None = None
    connection = upstream.connection
    ending = _Ending(upstream)
    if edits is not None:
        edits.on_block = ending.hang_up
    ex.source = connection
    if ex.throttled:
        connection.pause_reading()
    try:
        await connection.pump(passing.feed, ex.send if edits is None else edits.send)
    except UpstreamError as error:
        if not passing.complete:
            broken = error
    finally:
        if not ending.hung_up:
            record.used(passing.usage)
        ex.source = None  # from here on the connection may be another request's
        upstream.release()
    if edits is not None and ending.hung_up:
        await _end_blocked(ex, record, call, passing, edits)
        return
    if broken is not None:
        await break_off(ex, record, codec, upstream, edits, broken, mid_frame=passing.mid_frame)
        return
    rest = passing.finish()
    record.used(passing.usage)
    if (
        record.hold is not None
        and not in_usage
        and not passing.failed
        and (note := meter_answers.note(record, passing.usage))
    ):
        rest = last_frame.noted(rest, note)
    if edits is not None:
        rest = await edits.last(rest)
    if passing.failed or (edits is not None and edits.failed):  # told in band, by the backend itself or by us
        record.close(200, StreamBroken.code, "failed", ex.answer_bytes + len(rest))
    else:
        record.close(200, "ok", "answered", ex.answer_bytes + len(rest))
    ex.end(rest)


class _Ending:
    """What happens when checks have ended an answer before its backend did."""

    __slots__ = ("_upstream", "hung_up")

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self.hung_up = False

    def hang_up(self) -> None:
        """Frees the GPU; nothing is waited for, since nothing that comes is counted."""
        if self._upstream.runs:
            self.hung_up = True
            self._upstream.connection.abort()


async def _end_blocked(ex: Exchange, record: Recording, call: Call, passing: Passing, edits: EditedStream) -> None:
    """The end of an answer whose upstream was hung up on: of what was used only bounds are known."""
    counting.heard(record, passing.usage, edits.heard_bytes)
    rest = await edits.last(DONE_FRAME if call.endpoint in CHUNKS else b"")
    record.close(200, "ok", "answered", ex.answer_bytes + len(rest))
    ex.end(rest)

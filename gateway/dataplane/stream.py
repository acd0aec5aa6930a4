"""An answer that is streamed: bytes pass as they come, without a task, a queue or a decoded frame in between.

The form's `relay` (wire) decides what passes; this moves it. The upstream's socket is paused while the caller does
not keep up.
"""

from __future__ import annotations

from gateway.backends.http1 import EVENT_STREAM
from gateway.dataplane import meter_answers
from gateway.dataplane.attempt import Upstream
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.recording import Recording
from gateway.errors import StreamBroken, UpstreamError
from gateway.wire import last_frame
from gateway.wire.call import Call, Codec, Passing
from gateway.wire.relay import Relay


async def relay(ex: Exchange, record: Recording, call: Call, codec: Codec, upstream: Upstream) -> None:
    """Relays the stream to its end. A stream that breaks ends with an error frame, which official SDKs raise on; a
    caller that leaves cancels this, and with it the upstream.
    """
    passing = upstream.form.relay(call)
    in_usage = record.hold is not None and record.terms.money and call.asks_usage and isinstance(passing, Relay)
    if in_usage:
        assert isinstance(passing, Relay)
        passing.note = lambda: last_frame.member(meter_answers.note(record, passing.usage))
    ex.start(200, record.answer_headers(upstream.reply.content_type or EVENT_STREAM))
    connection = upstream.connection
    ex.source = connection
    if ex.throttled:
        connection.pause_reading()
    try:
        await connection.pump(passing.feed, ex.send)
    except UpstreamError as error:
        if not passing.complete:
            upstream.broke(error)
            _break_off(ex, record, codec, passing, error)
            return
    finally:
        record.used(passing.usage)
        ex.source = None  # from here on the connection may be another request's
        upstream.release()
    rest = passing.finish()
    record.used(passing.usage)
    if (
        record.hold is not None
        and not in_usage
        and not passing.failed
        and (note := meter_answers.note(record, passing.usage))
    ):
        rest = last_frame.noted(rest, note)
    if passing.failed:  # told in band by the backend itself
        record.close(200, StreamBroken.code, "failed", ex.answer_bytes + len(rest))
    else:
        record.close(200, "ok", "answered", ex.answer_bytes + len(rest))
    ex.end(rest)


def _break_off(ex: Exchange, record: Recording, codec: Codec, passing: Passing, error: UpstreamError) -> None:
    """Ends a stream that broke with an error frame, behind the last whole one."""
    frame = codec.errors.frame(error, record.id)
    if passing.mid_frame:
        frame = b"\n\n" + frame
    record.used(passing.usage)
    record.close(200, error.code, "failed", ex.answer_bytes + len(frame))
    ex.end(frame)

"""An answer that came whole: its usage goes to the record, its bytes to the caller as they are."""

from __future__ import annotations

from gateway.dataplane.attempt import Upstream
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.recording import Recording
from gateway.wire import usage


def answer(ex: Exchange, record: Recording, upstream: Upstream) -> None:
    """Records and answers, in this order: the record is closed before the last byte leaves."""
    reply = upstream.reply
    record.used(usage.from_answer(reply.body))
    record.close(200, "ok", "answered", len(reply.body))
    ex.answer(200, record.answer_headers(reply.content_type or b"application/json"), reply.body)

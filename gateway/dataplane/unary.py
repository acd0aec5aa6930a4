"""An answer that came whole: its usage goes to the record, its bytes to the caller."""

from __future__ import annotations

from gateway.dataplane.attempt import Upstream
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.recording import Recording
from gateway.wire.call import JSON, Call


def answer(ex: Exchange, record: Recording, call: Call, upstream: Upstream) -> None:
    """Records and answers, in this order: the record is closed before the last byte leaves."""
    reply, form = upstream.reply, upstream.form
    body = reply.body
    record.used(form.usage(body))
    if form.answer is not None:
        body = form.answer(body, call)
    record.close(200, "ok", "answered", len(body))
    ex.answer(200, record.answer_headers(reply.content_type or JSON), body)

"""An answer that came whole: its usage goes to the record, its bytes to the caller."""

from __future__ import annotations

from gateway.dataplane.attempt import Upstream
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.recording import Recording
from gateway.dataplane.screening import Screening
from gateway.wire.call import JSON, Call


def answer(ex: Exchange, record: Recording, call: Call, upstream: Upstream) -> None:
    """Records and answers."""
    _deliver(ex, record, upstream, _read(record, call, upstream))


async def screened(ex: Exchange, record: Recording, call: Call, upstream: Upstream, screening: Screening) -> None:
    """The same with what the checks of answers let through."""
    _deliver(ex, record, upstream, await screening.whole(_read(record, call, upstream)))


def _read(record: Recording, call: Call, upstream: Upstream) -> bytes:
    """The answer in the caller's format; its usage is in the record from here on."""
    form, body = upstream.form, upstream.reply.body
    record.used(form.usage(body))
    return body if form.answer is None else form.answer(body, call)


def _deliver(ex: Exchange, record: Recording, upstream: Upstream, body: bytes) -> None:
    """The record is closed before the last byte leaves."""
    record.close(200, "ok", "answered", len(body))
    ex.answer(200, record.answer_headers(upstream.reply.content_type or JSON), body)

"""POST /v1/traces: takes spans that agents made, in OTLP. They are validated and kept as they came; the keeper reads
and stores them."""

from __future__ import annotations

from functools import partial
from typing import Final

from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.errors import StoreUnavailable, UnknownPath, UpstreamBusy, UpstreamTimeout
from gateway.policy import identity, projects
from gateway.store.span_spool import Spool
from gateway.telemetry.agent_spans import Sender
from gateway.wire.otlp import answer, request
from gateway.wire.otlp.request import TYPES, Form
from gateway.wire.otlp.sent import Counts

PATH: Final = b"/v1/traces"


async def traces(gw: Gateway, ex: Exchange, record: Recording) -> None:
    """Takes a request's spans, all or none of them; those whose ids are none are told. A request, which costs
    nothing."""
    snap, admission = gw.snapshot, gw.admission
    record.begin("traces", snap)
    caller = record.identified(identity.identify(snap.keys, ex.headers, record.row.started_ns))  # 401
    record.booked(project := projects.of(caller, ex.headers))  # 403
    if gw.spool is None:
        raise UnknownPath("this gateway keeps no spans")
    form = request.form_of(ex.headers.get(b"content-type", b""))  # 400
    body = await ex.body()  # 408, 413
    if admission is not None:  # 429, 503
        await admission.admit_free(record, caller)
    record.open()  # 503
    sender = Sender(caller.tenant.name, caller.key, project, record.id, record.row.started_ns)
    # In a thread: reading takes milliseconds, and unfolding and writing may too.
    work = partial(_kept, gw.spool, sender, form, body, ex.headers.get(b"content-encoding"))
    try:
        counts = await gw.taking.run(work, _nothing, snap.limits.total_s)  # 400, 413, 503
    except (UpstreamBusy, UpstreamTimeout):
        raise StoreUnavailable(
            "more spans come than this gateway can read: send them again", headers=(("retry-after", "5"),)
        ) from None
    told = answer.taken(counts, form)
    record.close(200, "ok", "answered", len(told))
    ex.answer(200, record.answer_headers(TYPES[form]), told)


def _kept(spool: Spool, sender: Sender, form: Form, body: bytes, encoding: bytes | None) -> Counts:
    unfolded = request.unfolded(body, encoding)
    counts = request.counts(unfolded, form)
    if counts.taken:
        spool.keep(sender, form, unfolded)
    return counts


def _nothing() -> None:
    """It ends by itself, soon."""

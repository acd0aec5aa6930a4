"""The path of a call to a language model, for every format: chat completions, messages, embeddings and their kin.

Read `generate` top to bottom: it is the whole path. Endpoints differ only in their codec.
"""

from __future__ import annotations

from gateway.dataplane import contents, running, stream, unary
from gateway.dataplane.attempt import Attempts
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.dataplane.screening import Screening
from gateway.policy import identity, projects, resolve
from gateway.wire.call import JSON, Codec


async def generate(gw: Gateway, ex: Exchange, record: Recording, codec: Codec) -> None:
    """Serves one call; whatever it raises is answered and recorded by `lifecycle.run`."""
    snap, backends, admission = gw.snapshot, gw.backends, gw.admission  # one configuration for the whole request
    record.begin(codec.endpoint, snap, codec.errors.id_header)
    caller = record.identified(identity.identify(snap.keys, ex.headers, record.row.started_ns))  # 401
    record.booked(projects.of(caller, ex.headers))  # 403
    asked = call = record.parsed(codec.parse(await ex.body(), ex.headers.get(b"content-type", JSON)))  # 400, 408, 413
    plan = None if admission is None else admission.at_once(record, caller, call, codec)  # 404, 402
    if plan is None:
        plan = resolve.plan(snap, caller, call)  # 404
        if admission is not None:  # 402, 429, 503
            plan, call = await admission.admit(record, caller, call, plan, codec)
    chain = snap.chain_of(caller, asked.alias, plan.routes)
    screening: Screening | None = None
    if chain is not None:
        screening = record.screened(Screening(gw, snap, ex, record, chain, caller, call, codec))
        admitted = call
        asked, call = await screening.incoming(asked, call)  # 400, 503
        if admission is not None and len(call.body) > len(admitted.body):  # masks may be longer than what they hide
            call = await admission.resized(record, call)  # 402, 429
    if caller.tenant.content is not None:
        contents.keep(gw, ex, record, caller, call, screening, codec.opening)
    attempts = Attempts(gw, ex, record, snap, backends, caller, call, codec, admission, asked)
    upstream = await attempts.first_byte(plan)  # 502, 503, 504, or as sent
    call = attempts.call
    if screening is not None and not screening.edits_answers:
        screening = None
    if upstream.reply.streaming and record.hold is not None and record.running:
        await running.relay(gw, ex, record, call, codec, upstream, screening)
    elif upstream.reply.streaming:
        await stream.relay(ex, record, call, codec, upstream, screening)
    elif screening is not None:
        await unary.screened(ex, record, call, upstream, screening)
    else:
        unary.answer(ex, record, call, upstream)

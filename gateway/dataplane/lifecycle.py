"""Around every handler: find it, run it, turn what it raises into an answer, and leave exactly one record, whatever
happens.
"""

from __future__ import annotations

import asyncio

from gateway.dataplane import routes
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.errors import Draining, GatewayError, Internal
from gateway.wire import errors as wire_errors


async def run(gw: Gateway, ex: Exchange) -> None:
    """Serves one exchange to its end. Never raises, except to say that it was cancelled."""
    if ex.target not in routes.HANDLERS and routes.probe(gw, ex):  # health: costs nothing and leaves nothing
        return
    gw.in_flight += 1
    record = Recording(gw, ex)
    try:
        await routes.find(ex)(gw, ex, record)
    except GatewayError as error:
        _fail(ex, record, error)
    except asyncio.CancelledError:
        if not ex.gone and not ex.finished:  # not the caller: this process ends
            _fail(ex, record, Draining("this gateway process is stopping; another one will answer"))
        raise
    except Exception as error:  # noqa: BLE001 - the one place: a bug of ours must cost one request, and be seen
        gw.bugs.bug(record.id, error)
        _fail(ex, record, Internal("the gateway failed; its operator finds the cause under this request's id"))
    finally:
        gw.in_flight -= 1
        record.ended()


def _fail(ex: Exchange, record: Recording, error: GatewayError) -> None:
    if ex.finished:
        return
    if ex.started:  # in the middle of a stream
        frame = routes.errors_of(ex).frame(error, record.id)
        record.failed(error, 200, ex.answer_bytes + len(frame))
        ex.end(frame)
        return
    error = record.told(error)
    status, headers, body = wire_errors.render(error, record.id, routes.errors_of(ex))
    record.failed(error, status, len(body))
    ex.answer(status, headers + record.caller_header, body)

"""What is served without a backend: the models a caller may use, and the health of this process."""

from __future__ import annotations

from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.policy import identity, resolve
from gateway.wire import models as wire_models

JSON = b"application/json"
TEXT = b"content-type: text/plain\r\n"
PREFIX = b"/v1/models/"


async def models(gw: Gateway, ex: Exchange, record: Recording) -> None:
    """GET /v1/models: the models this caller may use, and no others."""
    snap = gw.snapshot
    record.begin("models", snap)
    caller = record.identified(identity.identify(snap.keys, ex.headers, record.row.started_ns))
    _answer(
        ex,
        record,
        wire_models.render_list(((alias, snap.is_classic(alias)) for alias in snap.models_of(caller)), gw.loaded_s),
    )


async def model(gw: Gateway, ex: Exchange, record: Recording) -> None:
    """GET /v1/models/{id}: one of them; an id may hold slashes, plain or percent-encoded."""
    snap = gw.snapshot
    record.begin("models", snap)
    caller = record.identified(identity.identify(snap.keys, ex.headers, record.row.started_ns))
    alias = resolve.known(snap, caller, wire_models.id_of(ex.path.removeprefix(PREFIX)) or "")  # 404
    _answer(ex, record, wire_models.render_one(alias, snap.is_classic(alias), gw.loaded_s))


def healthz(gw: Gateway, ex: Exchange) -> None:
    """The process runs and its loop turns."""
    ex.answer(200, TEXT, b"ok\n")


def readyz(gw: Gateway, ex: Exchange) -> None:
    """Whether new requests are taken."""
    ready = gw.takes_new
    ex.answer(200 if ready else 503, TEXT, b"ready\n" if ready else b"not ready\n")


def _answer(ex: Exchange, record: Recording, body: bytes) -> None:
    record.close(200, "ok", "answered", len(body))
    ex.answer(200, record.answer_headers(JSON), body)

"""The path of a call to a classic model, in the Open Inference Protocol v2: run in this process, or by a server that
speaks the protocol too (KServe, Triton). And what the protocol tells of the gateway and its models.

Read `infer` top to bottom: it is the whole path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from gateway.config.model import Limits
from gateway.config.snapshot import ClassicVersion, ModelRoute, Snapshot
from gateway.config.snapshot_callers import Caller
from gateway.dataplane import contents
from gateway.dataplane.attempt import Attempts
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.dataplane.screening import Screening
from gateway.errors import ContentFiltered, NoEndpoint
from gateway.policy import identity, projects, resolve
from gateway.telemetry import release
from gateway.wire import errors as wire_errors
from gateway.wire.infer import answer as infer_answer
from gateway.wire.infer import passing as infer_passing
from gateway.wire.infer import paths as infer_paths
from gateway.wire.infer import request as wire_infer
from gateway.wire.infer.paths import Target
from gateway.wire.infer.request import InferCall
from gateway.wire.infer.texts import AnswerTexts, RequestTexts
from gateway.wire.inflate import inflate

if TYPE_CHECKING:  # imports numpy and ONNX Runtime
    from gateway.backends.onnx import Session

JSON_HEADERS: Final = b"content-type: application/json\r\n"


async def infer(gw: Gateway, ex: Exchange, record: Recording) -> None:
    """POST /v2/models/{m}[/versions/{v}]/infer."""
    snap, backends, classic = gw.snapshot, gw.backends, gw.classic  # one configuration for the whole request
    admission = gw.admission
    record.begin("infer", snap)
    caller = record.identified(identity.identify(snap.keys, ex.headers, record.row.started_ns))  # 401
    record.booked(projects.of(caller, ex.headers))  # 403
    target = record.aimed(_target(ex))
    body = await _body(gw, ex, snap.limits)  # 400, 408, 413
    call = record.asked(wire_infer.parse(body, ex.headers.get(wire_infer.HEADER_LENGTH)))  # 400
    version = resolve.version_of(snap, caller, target.alias, target.version)  # 404
    if version is None:
        passed = infer_passing.call(target, call)
        plan, codec = resolve.plan(snap, caller, passed), infer_passing.codec(target)
        if admission is not None:  # 402, 429, 503
            plan, passed = await admission.admit(record, caller, passed, plan, codec)
        screening = _screening(gw, snap, ex, record, caller, target, plan.routes)
        if screening is not None and screening.reads_input:
            passed = infer_passing.call(target, await _read(screening, call))  # 400, 429, 503
        if caller.tenant.content is not None:
            contents.keep(gw, ex, record, caller, passed, screening, codec.opening, body)
        attempts = Attempts(gw, ex, record, snap, backends, caller, passed, codec, admission)
        reply = (await attempts.first_byte(plan)).reply  # 502, 503, 504, or as sent
        answer, length = reply.body, infer_passing.json_length(reply.json_length)
    else:
        session = _loaded(classic, version)  # 503
        record.runs_here(version)
        if admission is not None:  # 402, 429, 503
            await admission.admit_classic(record, caller, snap.classic[target.alias])
        screening = _screening(gw, snap, ex, record, caller, target, ())
        if screening is not None and screening.reads_input:
            call = await _read(screening, call)  # 400, 429, 503
        if caller.tenant.content is not None:
            passed = infer_passing.call(target, call)
            contents.keep(gw, ex, record, caller, passed, screening, infer_passing.codec(target).opening, body)
        record.open()  # 503
        left_s = snap.limits.total_s - record.elapsed_ms() / 1e3
        ran: list[float] = []
        try:
            outputs = await session.predict(call, gw.runs, left_s, ran)  # 400, 500, 503, 504
        finally:
            record.ran(ran)
        answer, length = infer_answer.render(target.alias, version.version, call.id, outputs)
    if screening is not None and screening.reads_output:
        told = AnswerTexts(answer, length)  # 502
        try:
            answer, length = told.said(await screening.passed(told.parts, restores=True))  # 503
        except ContentFiltered as blocked:  # the model has answered, which is paid for
            status, headers, answer = wire_errors.render(blocked, record.id, infer_answer.ERRORS)
            record.close(status, blocked.code, "answered", len(answer))
            ex.answer(status, headers + record.caller_header, answer)
            return
    record.close(200, "ok", "answered", len(answer))
    ex.answer(200, _headers(record, length), answer)


def _screening(
    gw: Gateway,
    snap: Snapshot,
    ex: Exchange,
    record: Recording,
    caller: Caller,
    target: Target,
    routes: Sequence[ModelRoute],
) -> Screening | None:
    """The checks of what this caller asks of this model, by these routes or here; None for none."""
    chain = snap.chain_of(caller, target.alias, routes)
    if chain is None:
        return None
    codec, asked = infer_passing.codec(target), infer_passing.question(target)
    return record.screened(Screening(gw, snap, ex, record, chain, caller, asked, codec))


async def _read(screening: Screening, call: InferCall) -> InferCall:
    """The request as it may be told the model."""
    texts = RequestTexts(call)
    return texts.said(await screening.passed(texts.parts)) if texts.parts else call


async def server(gw: Gateway, ex: Exchange, record: Recording) -> None:
    """GET /v2: the server, and what it can do."""
    snap = gw.snapshot
    record.begin("models", snap)
    record.identified(identity.identify(snap.keys, ex.headers, record.row.started_ns))
    _tell(ex, record, infer_answer.server(release.version()))


async def model(gw: Gateway, ex: Exchange, record: Recording) -> None:
    """GET /v2/models/{m}[/versions/{v}][/ready]: what a model takes and gives, and whether it can be asked."""
    snap, backends, classic = gw.snapshot, gw.backends, gw.classic
    record.begin("models", snap)
    caller = record.identified(identity.identify(snap.keys, ex.headers, record.row.started_ns))
    target = record.aimed(_target(ex))
    version = resolve.version_of(snap, caller, target.alias, target.version)  # 404
    if version is None:
        passed = infer_passing.question(target)
        plan = resolve.plan(snap, caller, passed)
        codec = infer_passing.codec(target)
        upstream = await Attempts(gw, ex, record, snap, backends, caller, passed, codec).first_byte(plan)
        _tell(ex, record, upstream.reply.body)
        return
    session = _loaded(classic, version)  # 503
    if target.action == "ready":
        _tell(ex, record, infer_answer.ready(target.alias))
    else:
        versions = tuple(snap.classic[target.alias].versions)
        _tell(ex, record, infer_answer.model(target.alias, versions, session.signature))


def live(gw: Gateway, ex: Exchange) -> None:
    """The process runs and its loop turns."""
    ex.answer(200, JSON_HEADERS, b'{"live":true}')


def ready(gw: Gateway, ex: Exchange) -> None:
    """Whether new requests are taken, as `/readyz` says it."""
    if gw.takes_new:
        ex.answer(200, JSON_HEADERS, b'{"ready":true}')
    else:
        ex.answer(503, JSON_HEADERS, b'{"ready":false}')


def _loaded(classic: Mapping[str, Mapping[str, Session]], version: ClassicVersion) -> Session:
    """The session of a version. Raises NoEndpoint for one that this worker could not load: its file has changed since
    the configuration was.
    """
    session = classic.get(version.alias, {}).get(version.version)
    if session is None:
        raise NoEndpoint(f"version {version.version} of the model {version.alias} is not loaded")
    return session


def _target(ex: Exchange) -> Target:
    target = infer_paths.target(ex.path)
    assert target is not None, "the route was found by it"
    return target


async def _body(gw: Gateway, ex: Exchange, limits: Limits) -> bytes:
    body = await ex.body()
    encoding = ex.headers.get(b"content-encoding")
    if encoding is None:
        return body
    # In a thread, and few at a time: a small body may unfold to the limit.
    return await gw.runs.run(partial(inflate, body, encoding, limits.body), _nothing, limits.total_s)


def _nothing() -> None:
    """Unfolding ends by itself, soon."""


def _headers(record: Recording, length: int | None) -> bytes:
    if length is None:
        return record.answer_headers(wire_infer.JSON_TYPE)
    return record.answer_headers(wire_infer.BINARY_TYPE) + b"%b: %d\r\n" % (wire_infer.HEADER_LENGTH, length)


def _tell(ex: Exchange, record: Recording, body: bytes) -> None:
    record.close(200, "ok", "answered", len(body))
    ex.answer(200, record.answer_headers(wire_infer.JSON_TYPE), body)

"""Which handler serves which path. Routes are taken from the raw path alone; no header takes part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple

from gateway.dataplane import chat, infer, meta, moderating, taking
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.errors import MethodNotAllowed, UnknownPath
from gateway.wire import chat as wire_chat
from gateway.wire import completions as wire_completions
from gateway.wire import embeddings as wire_embeddings
from gateway.wire import scoring, transcriptions
from gateway.wire.call import Codec
from gateway.wire.errors import OPENAI, Shape
from gateway.wire.infer import answer as infer_answer
from gateway.wire.infer import paths as infer_paths
from gateway.wire.messages import codec as wire_messages
from gateway.wire.otlp import answer as otlp_answer
from gateway.wire.responses import codec as wire_responses

Handler = Callable[[Gateway, Exchange, Recording], Awaitable[None]]
Probe = Callable[[Gateway, Exchange], None]


class Route(NamedTuple):
    """An endpoint: its one method, its handler, and how it tells errors."""

    method: bytes
    handler: Handler
    errors: Shape = OPENAI


def _generates(codec: Codec) -> Route:
    def handler(gw: Gateway, ex: Exchange, record: Recording) -> Awaitable[None]:
        return chat.generate(gw, ex, record, codec)

    return Route(b"POST", handler, codec.errors)


HANDLERS: Final[dict[bytes, Route]] = {
    b"/v1/chat/completions": _generates(wire_chat.CODEC),
    b"/v1/completions": _generates(wire_completions.CODEC),
    b"/v1/embeddings": _generates(wire_embeddings.CODEC),
    b"/v1/messages": _generates(wire_messages.CODEC),
    b"/v1/messages/count_tokens": _generates(wire_messages.COUNT),
    b"/v1/responses": _generates(wire_responses.CODEC),
    b"/v1/rerank": _generates(scoring.RERANK),
    b"/v1/score": _generates(scoring.SCORE),
    b"/v1/audio/transcriptions": _generates(transcriptions.CODEC),
    b"/v1/moderations": Route(b"POST", moderating.moderate),
    taking.PATH: Route(b"POST", taking.traces),
    b"/v1/models": Route(b"GET", meta.models),
    b"/v2": Route(b"GET", infer.server, infer_answer.ERRORS),
}
MODEL = Route(b"GET", meta.model)
INFER = Route(b"POST", infer.infer, infer_answer.ERRORS)
CLASSIC_MODEL = Route(b"GET", infer.model, infer_answer.ERRORS)
PROBE_METHODS = (b"GET", b"HEAD")
PROBES: Mapping[bytes, Probe] = {
    b"/healthz": meta.healthz,
    b"/readyz": meta.readyz,
    b"/v2/health/live": infer.live,
    b"/v2/health/ready": infer.ready,
}


def find(ex: Exchange) -> Handler:
    """The handler of a request. Raises `UnknownPath`, or `MethodNotAllowed` with an `allow` header."""
    route = HANDLERS.get(ex.target) or _route(ex.path)
    if route is None:
        raise UnknownPath(
            "there is no endpoint at this path; with OpenAI's SDK the base URL ends in /v1, with Anthropic's before it"
        )
    if ex.method != route.method:
        word = route.method.decode()
        raise MethodNotAllowed(f"this endpoint takes {word} only", headers=(("allow", word),))
    return route.handler


def errors_of(ex: Exchange) -> Shape:
    """How the endpoint of this request tells errors; OpenAI's way where there is none."""
    route = _route(ex.path)
    if route is None:
        return infer_answer.ERRORS if ex.path.startswith(b"/v2/") else OPENAI
    if ex.path == taking.PATH:
        return otlp_answer.shape(ex.headers.get(b"content-type", b""))
    return route.errors


def _route(path: bytes) -> Route | None:
    exact = HANDLERS.get(path)
    if exact is not None:
        return exact
    if path.startswith(meta.PREFIX) and len(path) > len(meta.PREFIX):
        return MODEL
    if path.startswith(infer_paths.PREFIX):
        target = infer_paths.target(path)
        if target is not None:
            return INFER if target.action == "infer" else CLASSIC_MODEL
    return None


def probe(gw: Gateway, ex: Exchange) -> bool:
    """Answers a health path, which leaves no record; False for every other request."""
    if ex.method not in PROBE_METHODS:
        return False
    answer = PROBES.get(ex.path)
    if answer is None:
        return False
    answer(gw, ex)
    return True

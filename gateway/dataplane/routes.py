"""Which handler serves which path. Routes are taken from the raw path alone; no header takes part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

from gateway.dataplane import chat, meta
from gateway.dataplane.exchange import Exchange
from gateway.dataplane.gateway import Gateway
from gateway.dataplane.recording import Recording
from gateway.errors import MethodNotAllowed, UnknownPath
from gateway.wire import chat as wire_chat
from gateway.wire import completions as wire_completions
from gateway.wire import embeddings as wire_embeddings

Handler = Callable[[Gateway, Exchange, Recording], Awaitable[None]]
Probe = Callable[[Gateway, Exchange], None]

HANDLERS: Mapping[bytes, tuple[bytes, Handler]] = {
    b"/v1/chat/completions": (b"POST", partial(chat.generate, codec=wire_chat.CODEC)),
    b"/v1/completions": (b"POST", partial(chat.generate, codec=wire_completions.CODEC)),
    b"/v1/embeddings": (b"POST", partial(chat.generate, codec=wire_embeddings.CODEC)),
    b"/v1/models": (b"GET", meta.models),
}
PROBE_METHODS = (b"GET", b"HEAD")
PROBES: Mapping[bytes, Probe] = {b"/healthz": meta.healthz, b"/readyz": meta.readyz}


def find(ex: Exchange) -> Handler:
    """The handler of a request. Raises `UnknownPath`, or `MethodNotAllowed` with an `allow` header."""
    found = HANDLERS.get(ex.target) or HANDLERS.get(ex.path)
    if found is None:
        path = ex.path
        if not path.startswith(meta.PREFIX) or len(path) == len(meta.PREFIX):
            raise UnknownPath("there is no endpoint at this path; with OpenAI's SDK the base URL ends in /v1")
        found = (b"GET", meta.model)
    allowed, handler = found
    if ex.method != allowed:
        word = allowed.decode()
        raise MethodNotAllowed(f"this endpoint takes {word} only", headers=(("allow", word),))
    return handler


def probe(gw: Gateway, ex: Exchange) -> bool:
    """Answers a health path, which leaves no record; False for every other request."""
    if ex.method not in PROBE_METHODS:
        return False
    answer = PROBES.get(ex.path)
    if answer is None:
        return False
    answer(gw, ex)
    return True

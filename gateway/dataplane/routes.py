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
PROBES: Mapping[bytes, Probe] = {b"/healthz": meta.healthz, b"/readyz": meta.readyz}


def find(method: bytes, path: bytes) -> Handler:
    """The handler of a path. Raises `UnknownPath`, or `MethodNotAllowed` with an `allow` header."""
    found = HANDLERS.get(path)
    if found is None:
        if not path.startswith(meta.PREFIX) or len(path) == len(meta.PREFIX):
            raise UnknownPath("there is no endpoint at this path")
        found = (b"GET", meta.model)
    allowed, handler = found
    if method != allowed:
        raise MethodNotAllowed(f"this endpoint takes {allowed.decode()} only", headers=(("allow", allowed.decode()),))
    return handler


def unrecorded(method: bytes, path: bytes) -> Probe | None:
    """The handler of a health path, which leaves no record; None for every other path."""
    if method in (b"GET", b"HEAD"):
        return PROBES.get(path)
    return None

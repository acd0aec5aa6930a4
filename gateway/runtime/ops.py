"""The ops listener, served by the supervisor: metrics, health, readiness, loop lag. No keys: keep it on loopback.

GET /metrics      Prometheus text
GET /healthz      200 while the supervisor runs
GET /readyz       200 when every worker serves, else 503 and which does not
GET /debug/loop   how late each event loop ran at worst in the last second, in milliseconds
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from gateway.runtime.hosting import App, Receive, Scope, Send

JSON_TYPE = "application/json"


class Readiness(msgspec.Struct, frozen=True):
    """The body of /readyz. `workers`: state by slot; `stale`: slots that serve another configuration than
    `snapshot`."""

    ready: bool
    draining: bool
    snapshot: str
    workers: dict[str, str]
    stale: list[int]
    config_reload_failed: bool
    checks: str = "off"
    """The check process: off (no chain asks it), ready or away. A gateway is ready without it."""
    checks_missing: tuple[str, ...] = ()
    """What it could not load."""


class Status(Protocol):
    """What the listener shows."""

    def metrics(self, accept: str) -> tuple[str, bytes]: ...
    def readiness(self) -> Readiness: ...
    def loop_lag_ms(self) -> dict[str, float | None]: ...


def app(status: Status) -> App:
    """The ASGI app."""

    def metrics(scope: Scope) -> tuple[int, str, bytes]:
        return 200, *status.metrics(_header(scope, b"accept"))

    def healthz(scope: Scope) -> tuple[int, str, bytes]:
        return 200, JSON_TYPE, b'{"status":"ok"}\n'

    def readyz(scope: Scope) -> tuple[int, str, bytes]:
        readiness = status.readiness()
        return 200 if readiness.ready else 503, JSON_TYPE, _json(readiness)

    def debug_loop(scope: Scope) -> tuple[int, str, bytes]:
        return 200, JSON_TYPE, _json({"loop_lag_ms": status.loop_lag_ms()})

    routes: dict[str, Callable[[Scope], tuple[int, str, bytes]]] = {
        "/metrics": metrics,
        "/healthz": healthz,
        "/readyz": readyz,
        "/debug/loop": debug_loop,
    }

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        route = routes.get(scope["path"])
        headers: list[tuple[bytes, bytes]] = []
        if route is None:
            code, kind, body = 404, JSON_TYPE, _json({"error": "unknown path", "paths": sorted(routes)})
        elif scope["method"] not in ("GET", "HEAD"):
            code, kind, body = 405, JSON_TYPE, _json({"error": "only GET and HEAD"})
            headers = [(b"allow", b"GET, HEAD")]
        else:
            code, kind, body = route(scope)
        headers += [
            (b"content-type", kind.encode("ascii")),
            (b"content-length", str(len(body)).encode("ascii")),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return serve


def _header(scope: Scope, wanted: bytes) -> str:
    return ", ".join(value.decode("latin-1") for name, value in scope["headers"] if name == wanted)


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value) + b"\n"

"""The door of the administration: what every request passes before it is routed.

It gives the request an id, refuses tokens in URLs and bodies that are too large, finds out who asks, slows down who
guesses, and turns what goes wrong into the one form of errors. It is ASGI around the app, so that no route can be added
behind its back.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import parse_qsl

import msgspec

from gateway.clock import Clock
from gateway.control import errors, issuing
from gateway.control.failures import Failures, source_of
from gateway.control.principals import Tokens
from gateway.policy.roles import Principal
from gateway.telemetry.logs import Log

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY_BYTES: Final = 4_000_000
OPEN: Final = ("/admin/openapi.json", "/admin/docs")
"""Paths that anyone may read: what they say is in the manual."""
TOKEN_NAMES: Final = frozenset(
    (
        "token",
        "access_token",
        "admin_token",
        "api_key",
        "apikey",
        "authorization",
        "auth",
        "bearer",
        "secret",
        "password",
    )
)
_LEAST_TOKEN_CHARS: Final = 32


class Door:
    """The ASGI app around the app. `trusted` is who asks when the app is called from the machine itself, without a
    socket; then no token is looked for."""

    def __init__(self, app: App, tokens: Tokens, clock: Clock, log: Log, trusted: Principal | None = None) -> None:
        self._app = app
        self._tokens = tokens
        self._clock = clock
        self._log = log
        self._trusted = trusted
        self._failures = Failures()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request_id = f"adm_{secrets.token_hex(12)}"
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), *_headers(request_id)]
            await send(message)

        try:
            scope.setdefault("state", {})["request_id"] = request_id
            self._read_query(scope)
            if scope["path"] not in OPEN:
                scope["state"]["principal"] = await self._principal(scope)
                scope["state"]["via"] = "api" if self._trusted is None else "cli"
            await self._app(scope, await _whole(scope, receive), sending)
        except errors.AdminError as error:
            await respond(sending, error)
        except Exception as error:  # noqa: BLE001 - the one place where our bugs end
            self._log.bug("admin_request_failed", error, request=request_id, path=scope["path"])
            if not started:
                await respond(sending, errors.Internal(f"an error of ours; the log has it under {request_id}"))

    async def _principal(self, scope: Scope) -> Principal:
        if self._trusted is not None:
            return self._trusted
        source = source_of((scope.get("client") or ("unknown", 0))[0])
        now_s = self._clock.monotonic_s()
        wait_s = self._failures.wait_s(source, now_s)
        if wait_s > 0:
            raise errors.TooManyFailures(
                f"too many wrong tokens came from {source}: it is listened to again in {math.ceil(wait_s)} s",
                headers={"retry-after": str(math.ceil(wait_s))},
            )
        token = _bearer(scope)
        principal = await self._tokens.principal_of(token)
        if principal is None:
            count = self._failures.failed(source, now_s)
            self._log.warning("admin_token_wrong", source=source, in_a_row=count, path=scope["path"])
            raise errors.Unauthenticated("this token is not valid, or not any more", headers=_CHALLENGE)
        return principal

    def _read_query(self, scope: Scope) -> None:
        """What no query may say: a token, and a NUL, which PostgreSQL takes for no text."""
        query = scope.get("query_string", b"").decode("latin-1")
        for name, value in parse_qsl(query, keep_blank_values=True):
            secret = len(value) >= _LEAST_TOKEN_CHARS and value.startswith((issuing.TOKEN_PREFIX, issuing.KEY_PREFIX))
            if secret or name.lower() in TOKEN_NAMES or (value and self._tokens.is_root(value)):
                self._log.warning("admin_token_in_url", path=scope["path"])
                raise errors.TokenInUrl(
                    "a token in a URL ends up in logs and histories: send it as `Authorization: Bearer …`, and if this "
                    "was a real one, replace it"
                )
            if "\0" in value:
                raise errors.Invalid(f"{name[:100]!r} in the query has a NUL character (%00), which no name has")


_CHALLENGE: Final = {"www-authenticate": "Bearer"}


async def respond(send: Send, error: errors.AdminError) -> None:
    """Sends an error as the answer."""
    body = msgspec.json.encode(error.body())
    headers = [(name.encode(), value.encode()) for name, value in error.headers.items()]
    headers += [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _bearer(scope: Scope) -> str:
    found = [value for name, value in scope["headers"] if name == b"authorization"]
    if len(found) != 1:
        told = "more than one authorization header" if found else "no token"
        raise errors.Unauthenticated(f"{told}: send one `Authorization: Bearer …`", headers=_CHALLENGE)
    scheme, _, token = found[0].decode("latin-1").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise errors.Unauthenticated("the authorization header is not `Bearer …`", headers=_CHALLENGE)
    return str(token.strip())


def _headers(request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-request-id", request_id.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]


async def _whole(scope: Scope, receive: Receive) -> Receive:
    """Reads the body, and gives it again whole: who reads it behind the door would take what is wrong with it for a
    mistake of its own. Raises errors.TooLarge."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > MOST_BODY_BYTES:
            raise _too_large()
    body, more = b"", True
    while more:
        message = await receive()
        more = message["type"] == "http.request" and message.get("more_body", False)
        body += message.get("body", b"")
        if len(body) > MOST_BODY_BYTES:
            raise _too_large()
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return waiting.pop() if waiting else await receive()

    return receiving


def _too_large() -> errors.TooLarge:
    return errors.TooLarge(f"a body is at most {MOST_BODY_BYTES:,} bytes")

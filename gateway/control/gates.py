"""What each route asks of who calls it, and what it learns of the request: a FastAPI dependency that bears a `Needs`.

A test walks all routes with every role, and fails for one that has no gate.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute

from gateway.control import errors
from gateway.control.service import Asked, Retried
from gateway.policy.roles import Needs, Principal, Role, Scope, may
from gateway.store.control.base import Who

MOST_REASON_CHARS: Final = 500
_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_VERSION: Final = re.compile(r'"?([0-9]{1,18})"?', re.ASCII)


class Gate:
    """Lets those through who may; the dependency's value says who asks and how."""

    def __init__(self, needs: Needs) -> None:
        self.needs = needs

    async def __call__(self, request: Request) -> Asked:
        principal: Principal = request.scope["state"]["principal"]
        tenant = request.path_params.get("tenant", "")
        if not may(principal, self.needs, tenant):
            where = f" of {tenant} or of all tenants" if self.needs.scope == "tenant" else ""
            where = " of the whole gateway" if self.needs.scope == "gateway" and not principal.sees_all() else where
            raise errors.Forbidden(f"{principal.name} may not do this: it takes the role {self.needs.role}{where}")
        state = request.scope["state"]
        return Asked(
            principal=principal,
            who=Who(principal.name, principal.subject, state["via"], state["request_id"]),
            reason=_reason(request),
            expect=_expected(request),
            retried=await _retried(request),
        )


def needs(role: Role, scope: Scope = "gateway") -> Any:
    """The gate of a route, for `Annotated[Asked, needs("admin")]`."""
    return Depends(Gate(Needs(role, scope)))


def gated(routers: Iterable[APIRouter]) -> Iterator[tuple[str, str, Needs]]:
    """(method, path, needs) of every route. Raises TypeError for one that has no gate, or two."""
    for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
        gates = [each.call for each in route.dependant.dependencies if isinstance(each.call, Gate)]
        if len(gates) != 1:
            raise TypeError(f"{route.path} does not say who may call it: give it an `asked` with needs(…)")
        for method in sorted(route.methods or ()):
            yield method, route.path, gates[0].needs


def _reason(request: Request) -> str:
    raw = request.headers.get("x-lockgate-reason", "").encode("latin-1")
    try:
        reason = raw.decode().strip()
    except UnicodeDecodeError as error:
        raise errors.Invalid("x-lockgate-reason: not UTF-8 text", param="x-lockgate-reason") from error
    if not reason.isprintable() or len(reason) > MOST_REASON_CHARS:
        told = f"x-lockgate-reason: one line of at most {MOST_REASON_CHARS} characters"
        raise errors.Invalid(told, param="x-lockgate-reason")
    return reason


def _expected(request: Request) -> int | None:
    """The version of `if-match`; None for none and for `*`."""
    written = request.headers.get("if-match")
    if written is None or written.strip() == "*":
        return None
    found = _VERSION.fullmatch(written.strip())
    if found is None:
        raise errors.Invalid('if-match: the version of the entry, as in its etag: "3"', param="if-match")
    return int(found[1])


async def _retried(request: Request) -> Retried | None:
    key = request.headers.get("idempotency-key")
    if key is None or request.method != "POST":
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(key):
        told = "idempotency-key: 1 to 200 printable characters without spaces"
        raise errors.Invalid(told, param="idempotency-key")
    said = hashlib.sha256()
    for part in (request.scope["raw_path"], request.scope["query_string"], await request.body()):
        said.update(len(part).to_bytes(8, "big") + part)
    return Retried(hashlib.sha256(key.encode()).hexdigest(), said.hexdigest())

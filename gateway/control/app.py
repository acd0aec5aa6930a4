"""The administration as an ASGI app: the routes behind the door.

app = build(service, root_hash="sha256:…")              for a listener: tokens are looked for
app = build(service, trusted=principal, resource="keys")  for the command line on the machine itself: one resource
"""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException

from gateway.config.shape import dotted
from gateway.control import errors, gates, routes
from gateway.control.door import OPEN, App, Door
from gateway.control.names import visible
from gateway.control.principals import Tokens
from gateway.control.service import Service
from gateway.policy.roles import Principal


def build(
    service: Service, root_hash: str | None = None, trusted: Principal | None = None, resource: str | None = None
) -> App:
    """The app. `root_hash`: `sha256:…` of the configured token, where there is one. `resource`: only what stands under
    /admin/RESOURCE."""
    return Door(routed(service, resource), Tokens(service, root_hash), service.clock, service.log, trusted)


def routed(service: Service, resource: str | None = None) -> FastAPI:
    """The routes without the door."""
    openapi_path, docs_path = OPEN
    app = FastAPI(
        title="Lockgate administration",
        version="1",
        description="Tenants, projects, keys, meters, backends, snapshots and principals of one gateway; every change "
        "is recorded.",
        openapi_url=openapi_path,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    found = routes.routers(service, resource)
    for each in found:
        app.include_router(each)
    app.add_exception_handler(errors.AdminError, _refused)
    app.add_exception_handler(RequestValidationError, _not_taken)
    app.add_exception_handler(HTTPException, _not_routed)
    app.add_exception_handler(Exception, _failed)
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        from gateway.control import manual

        return manual.completed(plain(), gates.gated(found))

    app.openapi = openapi  # type: ignore[method-assign]  # how FastAPI has it extended

    async def docs(_: Request) -> Response:
        from gateway.control import manual_page

        return HTMLResponse(manual_page.page(app.openapi()))

    app.add_route(docs_path, docs, include_in_schema=False)
    return app


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, errors.AdminError)
    return _answer(error)


async def _not_taken(_: Request, error: Exception) -> Response:
    """A body or a parameter that is not of the shape that is taken: each problem with its place."""
    assert isinstance(error, RequestValidationError)
    told: list[str] = []
    first: str | None = None
    for problem in error.errors()[:20]:
        if problem["type"] == "json_invalid":
            return _answer(errors.Invalid(f"the body is not JSON: {problem['ctx']['error']}"))
        place = dotted(tuple(problem["loc"][1:]))
        first = first or place or None
        message = _SAID.get(problem["type"], str(problem["msg"]))
        told.append(f"{place}: {message}" if place else message)
    return _answer(errors.Invalid("; ".join(told), param=first))


_SAID = {"extra_forbidden": "unknown field", "missing": "it is missing"}
"""Problems in our words."""


async def _not_routed(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = visible(request.url.path)
    if error.status_code == 404:
        return _answer(errors.UnknownPath(f"there is nothing at {path}; {OPEN[1]} lists what there is"))
    if error.status_code == 405:
        return _answer(
            errors.MethodNotAllowed(f"{path} does not take {request.method}", headers=dict(error.headers or {}))
        )
    return _answer(errors.Invalid(f"the request cannot be read: {error.detail}"))


async def _failed(request: Request, _: Exception) -> Response:
    """Our bug: the door logs it."""
    return _answer(errors.Internal(f"an error of ours; the log has it under {request.scope['state']['request_id']}"))


def _answer(error: errors.AdminError) -> Response:
    return Response(msgspec.json.encode(error.body()), error.status, error.headers, "application/json")

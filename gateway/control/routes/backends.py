"""Backends: how their endpoints stand, and the drain of one."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from gateway.control.backends import Backends
from gateway.control.gates import needs
from gateway.control.routes.paging import Listing, answered, page
from gateway.control.routes.shapes import Page, Taken
from gateway.control.service import Asked

_Draining: TypeAlias = Annotated[Asked, needs("operator")]


class EndpointBody(Taken):
    """One of a backend's endpoints, as the configuration has it."""

    endpoint: Annotated[str, Field(json_schema_extra={"example": "http://gpu-1:8000"})]


class EndpointAnswer(BaseModel):
    url: str
    drained: bool
    outstanding: float | None = Field(description="Attempts that run there now; null where no gateway answers.")
    breaker_open: float | None = Field(description="Share of the workers that hold it for broken.")


class BackendAnswer(BaseModel):
    name: str
    kind: str
    provider: str | None
    endpoints: list[EndpointAnswer]
    source: Literal["files"]
    place: str


class DrainAnswer(BaseModel):
    backend: str
    endpoint: str
    drained: bool


class BackendRoutes:
    """What is asked of backends."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def list_backends(self, _: Annotated[Asked, needs("viewer")], listing: Listing) -> Response:
        """The backends, by name, and how their endpoints stand."""
        return page(*await self._backends.backends(listing))

    async def drain_endpoint(self, asked: _Draining, backend: str, body: EndpointBody) -> Response:
        """Send no new call to an endpoint; those that run come to their end."""
        return answered(await self._backends.drain(backend, body.endpoint, asked))

    async def resume_endpoint(self, asked: _Draining, backend: str, body: EndpointBody) -> Response:
        """End the drain of an endpoint."""
        return answered(await self._backends.resume(backend, body.endpoint, asked))


def router(backends: Backends) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/backends", tags=["backends"]), BackendRoutes(backends)
    at.get("", response_model=Page[BackendAnswer])(do.list_backends)
    at.post("/{backend}/drain", response_model=DrainAnswer)(do.drain_endpoint)
    at.post("/{backend}/resume", response_model=DrainAnswer)(do.resume_endpoint)
    return at

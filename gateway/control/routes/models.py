"""Models: what callers can name."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Response
from pydantic import BaseModel

from gateway.control.backends import Backends
from gateway.control.gates import needs
from gateway.control.routes.paging import Listing, answered, page
from gateway.control.routes.shapes import MeterBody, Page
from gateway.control.service import Asked

_Reading: TypeAlias = Annotated[Asked, needs("viewer")]


class ModelAnswer(BaseModel):
    alias: str
    kind: str
    backend: str | None
    served_model: str | None
    fallback: list[str]
    versions: list[str]
    priced: bool
    meters: list[MeterBody]
    source: Literal["files"]
    place: str


class ModelRoutes:
    """What is asked of models."""

    def __init__(self, backends: Backends) -> None:
        self._backends = backends

    async def list_models(self, _: _Reading, listing: Listing) -> Response:
        """The models, by alias."""
        return page(*await self._backends.models(listing))

    async def get_model(self, _: _Reading, alias: str) -> Response:
        """A model."""
        return answered(await self._backends.model(alias))


def router(backends: Backends) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/models", tags=["models"]), ModelRoutes(backends)
    at.get("", response_model=Page[ModelAnswer])(do.list_models)
    at.get("/{alias:path}", response_model=ModelAnswer)(do.get_model)
    return at

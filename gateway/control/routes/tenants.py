"""Tenants: which models they may use, their meters, their chain of checks, and whether what they say is kept."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gateway.control.documents import merged
from gateway.control.entries import TENANTS, Entries
from gateway.control.gates import needs
from gateway.control.routes.bodies import named, patch_of
from gateway.control.routes.paging import ListingEver, answered, page
from gateway.control.routes.shapes import ContentBody, MeterBody, Meters, Models, Name, Page, Sourced, Taken
from gateway.control.service import Asked

_Below: TypeAlias = Annotated[bool, Query(description="Its projects go and its keys are revoked with it.")]
_Changing: TypeAlias = Annotated[Asked, needs("admin")]
_Chain: TypeAlias = Annotated[Name, Field(description="A chain of checks of the configuration, for all that it asks.")]


class NewTenant(Taken):
    """A tenant to be made."""

    name: Name
    models: Models
    meters: Meters = Field(default=[])
    chain: _Chain | None = None
    content: ContentBody | None = None


class TenantChange(Taken):
    """What of a tenant is to be changed."""

    models: Models | None = None
    meters: Meters | None = None
    chain: _Chain | None = None
    content: ContentBody | None = None


class TenantAnswer(Sourced):
    name: str
    models: list[str]
    meters: list[MeterBody] = Field(default=[])
    chain: str | None = None
    content: ContentBody | None = None


class TenantRoutes:
    """What is asked of tenants."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    async def list_tenants(self, asked: Annotated[Asked, needs("viewer", "some")], listing: ListingEver) -> Response:
        """The tenants of the files and of the store that one may see, by name."""
        return page(*await self._entries.page(TENANTS, "", listing, asked.principal.sees))

    async def create_tenant(self, asked: _Changing, body: NewTenant) -> Response:
        """Make a tenant: which models it may use, its meters and its chain of checks."""
        return answered(await self._entries.create(TENANTS, "", *named(body), asked), 201)

    async def get_tenant(self, _: Annotated[Asked, needs("viewer", "tenant")], tenant: str) -> Response:
        """A tenant."""
        return answered(await self._entries.get(TENANTS, "", tenant))

    async def change_tenant(self, asked: _Changing, tenant: str, body: TenantChange) -> Response:
        """Change what is named of a tenant of the store."""
        patch = patch_of(body)
        return answered(await self._entries.patch(TENANTS, "", tenant, lambda old: merged(old, patch), asked))

    async def remove_tenant(self, asked: _Changing, tenant: str, all_below: _Below = False) -> Response:
        """Remove a tenant of the store. One that has projects or keys takes `all_below=true`."""
        return answered(await self._entries.remove(TENANTS, "", tenant, asked, all_below=all_below))


def router(entries: Entries) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/tenants", tags=["tenants"]), TenantRoutes(entries)
    at.get("", response_model=Page[TenantAnswer])(do.list_tenants)
    at.post("", response_model=TenantAnswer, status_code=201)(do.create_tenant)
    at.get("/{tenant}", response_model=TenantAnswer)(do.get_tenant)
    at.patch("/{tenant}", response_model=TenantAnswer)(do.change_tenant)
    at.delete("/{tenant}", response_model=TenantAnswer)(do.remove_tenant)
    return at

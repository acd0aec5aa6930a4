"""Projects: parts of a tenant's work that are metered and told apart."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Response
from pydantic import Field

from gateway.control.documents import merged
from gateway.control.entries import PROJECTS, Entries
from gateway.control.gates import needs
from gateway.control.routes.bodies import named, patch_of
from gateway.control.routes.paging import ListingEver, answered, page
from gateway.control.routes.shapes import MeterBody, Meters, Name, Page, Sourced, Taken
from gateway.control.service import Asked

_Reading: TypeAlias = Annotated[Asked, needs("viewer", "tenant")]
_Changing: TypeAlias = Annotated[Asked, needs("admin", "tenant")]


class NewProject(Taken):
    """A project to be made."""

    name: Name
    meters: Meters = Field(default=[])


class ProjectChange(Taken):
    """What of a project is to be changed."""

    meters: Meters | None = None


class ProjectAnswer(Sourced):
    tenant: str
    name: str
    meters: list[MeterBody] = Field(default=[])


class ProjectRoutes:
    """What is asked of a tenant's projects."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries

    async def list_projects(self, asked: _Reading, tenant: str, listing: ListingEver) -> Response:
        """The tenant's projects, by name."""
        return page(*await self._entries.page(PROJECTS, tenant, listing, asked.principal.sees))

    async def create_project(self, asked: _Changing, tenant: str, body: NewProject) -> Response:
        """Make a project of the tenant; keys name those they may work for."""
        return answered(await self._entries.create(PROJECTS, tenant, *named(body), asked), 201)

    async def get_project(self, _: _Reading, tenant: str, project: str) -> Response:
        """A project."""
        return answered(await self._entries.get(PROJECTS, tenant, project))

    async def change_project(self, asked: _Changing, tenant: str, project: str, body: ProjectChange) -> Response:
        """Change what is named of a project of the store."""
        patch = patch_of(body)
        return answered(await self._entries.patch(PROJECTS, tenant, project, lambda old: merged(old, patch), asked))

    async def remove_project(self, asked: _Changing, tenant: str, project: str) -> Response:
        """Remove a project of the store that no key names any more."""
        return answered(await self._entries.remove(PROJECTS, tenant, project, asked))


def router(entries: Entries) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/tenants/{tenant}/projects", tags=["projects"]), ProjectRoutes(entries)
    at.get("", response_model=Page[ProjectAnswer])(do.list_projects)
    at.post("", response_model=ProjectAnswer, status_code=201)(do.create_project)
    at.get("/{project}", response_model=ProjectAnswer)(do.get_project)
    at.patch("/{project}", response_model=ProjectAnswer)(do.change_project)
    at.delete("/{project}", response_model=ProjectAnswer)(do.remove_project)
    return at

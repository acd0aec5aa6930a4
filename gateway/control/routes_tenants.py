"""Routes of tenants, projects and keys."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from gateway.control import shapes
from gateway.control.documents import merged
from gateway.control.entries import KEYS, PROJECTS, TENANTS, Entries
from gateway.control.gates import needs
from gateway.control.keys import Keys
from gateway.control.paging import After, Gone, Limit, Prefix, answered, page, query
from gateway.control.service import Asked

Below = Annotated[bool, Query(description="Its projects go and its keys are revoked with it.")]


def said(body: BaseModel) -> dict[str, Any]:
    """What stands in a body, as it stands there; fields that are null are not."""
    return body.model_dump(exclude_unset=True, exclude_none=True)


def patch_of(body: BaseModel) -> dict[str, Any]:
    """What a merge patch says: null takes a field away."""
    return {name: _plain(getattr(body, name)) for name in body.model_fields_set}


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return said(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value


def router(entries: Entries, keys: Keys) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/admin/tenants")

    @routes.get("", response_model=shapes.Page[shapes.TenantAnswer], tags=["tenants"])
    async def list_tenants(
        asked: Annotated[Asked, needs("viewer", "some")],
        limit: Limit = 100,
        after: After = "",
        prefix: Prefix = "",
        gone: Gone = False,
    ) -> Response:
        """The tenants of the files and of the store that one may see, by name."""
        return page(*await entries.page(TENANTS, "", query(limit, after, prefix, gone=gone), asked.principal.sees))

    @routes.post("", response_model=shapes.TenantAnswer, status_code=201, tags=["tenants"])
    async def create_tenant(asked: Annotated[Asked, needs("admin")], body: shapes.NewTenant) -> Response:
        """Make a tenant: which models it may use, and its meters."""
        document = said(body)
        return answered(await entries.create(TENANTS, "", document.pop("name"), document, asked), 201)

    @routes.get("/{tenant}", response_model=shapes.TenantAnswer, tags=["tenants"])
    async def get_tenant(asked: Annotated[Asked, needs("viewer", "tenant")], tenant: str) -> Response:
        """A tenant."""
        return answered(await entries.get(TENANTS, "", tenant))

    @routes.patch("/{tenant}", response_model=shapes.TenantAnswer, tags=["tenants"])
    async def change_tenant(
        asked: Annotated[Asked, needs("admin")], tenant: str, body: shapes.TenantChange
    ) -> Response:
        """Change what is named of a tenant of the store."""
        return answered(await entries.patch(TENANTS, "", tenant, lambda old: merged(old, patch_of(body)), asked))

    @routes.delete("/{tenant}", response_model=shapes.TenantAnswer, tags=["tenants"])
    async def remove_tenant(asked: Annotated[Asked, needs("admin")], tenant: str, all_below: Below = False) -> Response:
        """Remove a tenant of the store. One that has projects or keys takes `all_below=true`."""
        return answered(await entries.remove(TENANTS, "", tenant, asked, all_below=all_below))

    @routes.get("/{tenant}/projects", response_model=shapes.Page[shapes.ProjectAnswer], tags=["projects"])
    async def list_projects(
        asked: Annotated[Asked, needs("viewer", "tenant")],
        tenant: str,
        limit: Limit = 100,
        after: After = "",
        prefix: Prefix = "",
        gone: Gone = False,
    ) -> Response:
        """The tenant's projects, by name."""
        asks = query(limit, after, prefix, gone=gone)
        return page(*await entries.page(PROJECTS, tenant, asks, asked.principal.sees))

    @routes.post("/{tenant}/projects", response_model=shapes.ProjectAnswer, status_code=201, tags=["projects"])
    async def create_project(
        asked: Annotated[Asked, needs("admin", "tenant")], tenant: str, body: shapes.NewProject
    ) -> Response:
        """Make a project of the tenant; keys name those they may work for."""
        document = said(body)
        return answered(await entries.create(PROJECTS, tenant, document.pop("name"), document, asked), 201)

    @routes.get("/{tenant}/projects/{project}", response_model=shapes.ProjectAnswer, tags=["projects"])
    async def get_project(asked: Annotated[Asked, needs("viewer", "tenant")], tenant: str, project: str) -> Response:
        """A project."""
        return answered(await entries.get(PROJECTS, tenant, project))

    @routes.patch("/{tenant}/projects/{project}", response_model=shapes.ProjectAnswer, tags=["projects"])
    async def change_project(
        asked: Annotated[Asked, needs("admin", "tenant")], tenant: str, project: str, body: shapes.ProjectChange
    ) -> Response:
        """Change what is named of a project of the store."""
        change = patch_of(body)
        return answered(await entries.patch(PROJECTS, tenant, project, lambda old: merged(old, change), asked))

    @routes.delete("/{tenant}/projects/{project}", response_model=shapes.ProjectAnswer, tags=["projects"])
    async def remove_project(asked: Annotated[Asked, needs("admin", "tenant")], tenant: str, project: str) -> Response:
        """Remove a project of the store that no key names any more."""
        return answered(await entries.remove(PROJECTS, tenant, project, asked))

    @routes.get("/{tenant}/keys", response_model=shapes.Page[shapes.KeyAnswer], tags=["keys"])
    async def list_keys(
        asked: Annotated[Asked, needs("viewer", "tenant")],
        tenant: str,
        limit: Limit = 100,
        after: After = "",
        prefix: Prefix = "",
        gone: Gone = False,
    ) -> Response:
        """The tenant's keys, by name; revoked ones with `gone=true`."""
        asks = query(limit, after, prefix, gone=gone)
        return page(*await entries.page(KEYS, tenant, asks, asked.principal.sees))

    @routes.post("/{tenant}/keys", response_model=shapes.IssuedKey, status_code=201, tags=["keys"])
    async def create_key(
        asked: Annotated[Asked, needs("admin", "tenant")], tenant: str, body: shapes.NewKey
    ) -> Response:
        """Make a key. Its secret is in the answer and nowhere else: a repeated request is answered without it."""
        document = said(body)
        return answered(await keys.create(tenant, document.pop("name"), document, asked), 201)

    @routes.get("/{tenant}/keys/{key}", response_model=shapes.KeyAnswer, tags=["keys"])
    async def get_key(asked: Annotated[Asked, needs("viewer", "tenant")], tenant: str, key: str) -> Response:
        """A key, without its secret, which nobody has."""
        return answered(await entries.get(KEYS, tenant, key))

    @routes.patch("/{tenant}/keys/{key}", response_model=shapes.KeyAnswer, tags=["keys"])
    async def change_key(
        asked: Annotated[Asked, needs("admin", "tenant")], tenant: str, key: str, body: shapes.KeyChange
    ) -> Response:
        """Change what is named of a key of the store: its end, models, projects, meters."""
        return answered(await entries.patch(KEYS, tenant, key, lambda old: merged(old, patch_of(body)), asked))

    @routes.delete("/{tenant}/keys/{key}", response_model=shapes.KeyAnswer, tags=["keys"])
    async def revoke_key(asked: Annotated[Asked, needs("admin", "tenant")], tenant: str, key: str) -> Response:
        """Revoke a key of the store, for good: its name is not given again."""
        return answered(await entries.remove(KEYS, tenant, key, asked))

    @routes.post("/{tenant}/keys/{key}/rotate", response_model=shapes.IssuedKey, tags=["keys"])
    async def rotate_key(
        asked: Annotated[Asked, needs("admin", "tenant")], tenant: str, key: str, body: shapes.Rotation
    ) -> Response:
        """Give a key another secret; the old one goes on for `overlap_s` seconds."""
        return answered(await keys.rotate(tenant, key, body.overlap_s, asked))

    return routes

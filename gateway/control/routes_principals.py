"""Routes of principals and of the change log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from gateway.config import units
from gateway.control import changes as change_uses
from gateway.control import errors, shapes
from gateway.control.changes import Changes
from gateway.control.gates import needs
from gateway.control.paging import After, Gone, Limit, Prefix, answered, page, query
from gateway.control.principals import Principals
from gateway.control.routes_tenants import patch_of, said
from gateway.control.service import Answer, Asked
from gateway.store.control.base import Filters

Before = Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the page before.")]
Only = Annotated[str | None, Query(max_length=200)]
Time = Annotated[str | None, Query(max_length=64, description="A moment with its zone: 2026-11-22T09:00:00Z.")]
Head = Annotated[list[str], Query(max_length=100, description="SEQ:HASH that was noted elsewhere.")]


def router(principals: Principals, changes: Changes) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/admin")

    @routes.get("/principals", response_model=shapes.Page[shapes.PrincipalAnswer], tags=["principals"])
    async def list_principals(
        asked: Annotated[Asked, needs("owner")],
        limit: Limit = 100,
        after: After = "",
        prefix: Prefix = "",
        gone: Gone = False,
    ) -> Response:
        """The admin principals of the store, by name."""
        return page(*await principals.page(query(limit, after, prefix, gone=gone)))

    @routes.post("/principals", response_model=shapes.IssuedPrincipal, status_code=201, tags=["principals"])
    async def create_principal(asked: Annotated[Asked, needs("owner")], body: shapes.NewPrincipal) -> Response:
        """Make a principal. Its token is in the answer and nowhere else: a repeated request is answered without it."""
        document = said(body)
        return answered(await principals.create(document.pop("name"), document, asked), 201)

    @routes.get("/principals/{principal}", response_model=shapes.PrincipalAnswer, tags=["principals"])
    async def get_principal(asked: Annotated[Asked, needs("owner")], principal: str) -> Response:
        """A principal."""
        return answered(await principals.get(principal))

    @routes.patch("/principals/{principal}", response_model=shapes.PrincipalAnswer, tags=["principals"])
    async def change_principal(
        asked: Annotated[Asked, needs("owner")], principal: str, body: shapes.PrincipalChange
    ) -> Response:
        """Change what is named of a principal. The last owner stays one."""
        return answered(await principals.patch(principal, patch_of(body), asked))

    @routes.delete("/principals/{principal}", response_model=shapes.PrincipalAnswer, tags=["principals"])
    async def remove_principal(asked: Annotated[Asked, needs("owner")], principal: str) -> Response:
        """Remove a principal, for good: its token is no longer valid. The last owner stays."""
        return answered(await principals.remove(principal, asked))

    @routes.post("/principals/{principal}/rotate", response_model=shapes.IssuedPrincipal, tags=["principals"])
    async def rotate_principal(asked: Annotated[Asked, needs("owner")], principal: str) -> Response:
        """Give a principal another token; the old one is no longer valid."""
        return answered(await principals.rotate(principal, asked))

    @routes.get("/changes", response_model=shapes.Page[shapes.ChangeAnswer], tags=["changes"])
    async def list_changes(
        asked: Annotated[Asked, needs("viewer", "some")],
        limit: Limit = 100,
        after: Before = None,
        kind: Only = None,
        tenant: Only = None,
        name: Only = None,
        principal: Only = None,
        since: Time = None,
        until: Time = None,
    ) -> Response:
        """Who changed what from which value to which, the newest first, as far as one may see it."""
        filters = Filters(kind, tenant, name, principal, _ns(since, "since"), _ns(until, "until"))
        return page(*await changes.page(change_uses.Wanted(after, limit, filters), asked.principal))

    @routes.get("/changes/verify", response_model=shapes.VerifyAnswer, tags=["changes"])
    async def verify_changes(asked: Annotated[Asked, needs("viewer")], head: Head = []) -> Response:  # noqa: B006
        """Read the whole log and say whether anything in it was edited, removed, moved or cut off."""
        return answered(await changes.verify([change_uses.head_of(text) for text in head]))

    @routes.get("/whoami", response_model=shapes.WhoAnswer, tags=["principals"])
    async def who_am_i(asked: Annotated[Asked, needs("viewer", "none")]) -> Response:
        """Whose token this is, and what it may do."""
        who = asked.principal
        grants = [{"role": grant.role, "tenant": grant.tenant} for grant in who.grants]
        return answered(Answer({"name": who.name, "subject": who.subject, "roles": grants}))

    return routes


def _ns(written: str | None, param: str) -> int | None:
    if written is None:
        return None
    try:
        return units.instant(written) * 1_000_000_000
    except ValueError as error:
        raise errors.Invalid(f"{param}: {error}", param=param) from error

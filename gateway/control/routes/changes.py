"""The change log: who changed what, and whether the log is whole."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field

from gateway.config.entries import Kind
from gateway.control import changes as change_uses
from gateway.control.changes import Changes
from gateway.control.gates import needs
from gateway.control.routes.paging import Limit, answered, page
from gateway.control.routes.shapes import Page
from gateway.control.routes.times import Time, ns
from gateway.control.service import Asked
from gateway.store.control.base import Filters

_Before: TypeAlias = Annotated[int | None, Query(ge=1, le=2**62, description="`next` of the page before.")]
_Only: TypeAlias = Annotated[str | None, Query(max_length=200)]
_Kind: TypeAlias = Annotated[Kind | None, Query(description="Of entries of this kind only.")]
_Head: TypeAlias = Annotated[list[str], Query(max_length=100, description="SEQ:HASH that was noted elsewhere.")]


class ChangeAnswer(BaseModel):
    seq: int
    at: str
    principal: str
    subject: str
    via: str
    request_id: str
    action: Literal["create", "update", "delete"]
    kind: str
    tenant: str | None
    name: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None
    hash: str


class VerifyAnswer(BaseModel):
    whole: bool
    count: int | None
    head: str | None = Field(description="SEQ:HASH: note it elsewhere, and verify against it later.")
    seq: int | None = Field(description="The change at which it shows that the log is not whole.")
    problem: str | None


async def _filters(
    kind: _Kind = None,
    tenant: _Only = None,
    name: _Only = None,
    principal: _Only = None,
    since: Time = None,
    until: Time = None,
) -> Filters:
    return Filters(kind, tenant, name, principal, ns(since, "since"), ns(until, "until"))


class ChangeRoutes:
    """What is asked of the change log."""

    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def list_changes(
        self,
        asked: Annotated[Asked, needs("viewer", "some")],
        filters: Annotated[Filters, Depends(_filters)],
        limit: Limit = 100,
        after: _Before = None,
    ) -> Response:
        """Who changed what from which value to which, the newest first, as far as one may see it."""
        return page(*await self._changes.page(change_uses.Wanted(after, limit, filters), asked.principal))

    async def verify_changes(
        self,
        _: Annotated[Asked, needs("viewer")],
        head: _Head = [],  # noqa: B006 - FastAPI makes it anew for each request
    ) -> Response:
        """Read the whole log and say whether anything in it was edited, removed, moved or cut off."""
        return answered(await self._changes.verify([change_uses.head_of(text) for text in head]))


def router(changes: Changes) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/changes", tags=["changes"]), ChangeRoutes(changes)
    at.get("", response_model=Page[ChangeAnswer])(do.list_changes)
    at.get("/verify", response_model=VerifyAnswer)(do.verify_changes)
    return at

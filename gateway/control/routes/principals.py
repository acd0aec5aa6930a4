"""Principals: who may administer, with which roles, and who one is."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from gateway.control.gates import needs
from gateway.control.principals import Principals
from gateway.control.routes.bodies import named, patch_of
from gateway.control.routes.paging import ListingEver, answered, page
from gateway.control.routes.shapes import Expires, Name, Page, Role, Stored, Taken
from gateway.control.service import Answer, Asked

_Owning: TypeAlias = Annotated[Asked, needs("owner")]


class GrantBody(Taken):
    """A role, for the whole gateway or (admin, viewer) for one tenant."""

    role: Role
    tenant: Name | None = None


Roles: TypeAlias = Annotated[list[GrantBody], Field(min_length=1, max_length=100)]


class NewPrincipal(Taken):
    """A principal to be made; its token is in the answer, this once."""

    name: Name
    roles: Roles
    subject: Annotated[str, Field(max_length=200, description="The person or system it is.")] = ""
    expires: Expires | None = None


class PrincipalChange(Taken):
    """What of a principal is to be changed."""

    roles: Roles | None = None
    subject: Annotated[str, Field(max_length=200)] | None = None
    expires: Expires | None = None


class PrincipalAnswer(Stored):
    name: str
    subject: str = ""
    roles: list[GrantBody]
    expires: str | None = None


class IssuedPrincipal(PrincipalAnswer):
    token: str | None = Field(description="Shown this once; null where the request is repeated: rotate for another.")


class WhoAnswer(BaseModel):
    name: str
    subject: str
    roles: list[GrantBody]


class PrincipalRoutes:
    """What is asked of principals."""

    def __init__(self, principals: Principals) -> None:
        self._principals = principals

    async def list_principals(self, _: _Owning, listing: ListingEver) -> Response:
        """The admin principals of the store, by name."""
        return page(*await self._principals.page(listing))

    async def create_principal(self, asked: _Owning, body: NewPrincipal) -> Response:
        """Make a principal. Its token is in the answer and nowhere else: a repeated request is answered without it."""
        return answered(await self._principals.create(*named(body), asked), 201)

    async def get_principal(self, _: _Owning, principal: str) -> Response:
        """A principal."""
        return answered(await self._principals.get(principal))

    async def change_principal(self, asked: _Owning, principal: str, body: PrincipalChange) -> Response:
        """Change what is named of a principal. The last owner stays one."""
        return answered(await self._principals.patch(principal, patch_of(body), asked))

    async def remove_principal(self, asked: _Owning, principal: str) -> Response:
        """Remove a principal, for good: its token is no longer valid. The last owner stays."""
        return answered(await self._principals.remove(principal, asked))

    async def rotate_principal(self, asked: _Owning, principal: str) -> Response:
        """Give a principal another token; the old one is no longer valid."""
        return answered(await self._principals.rotate(principal, asked))

    async def who_am_i(self, asked: Annotated[Asked, needs("viewer", "none")]) -> Response:
        """Whose token this is, and what it may do."""
        who = asked.principal
        grants = [{"role": grant.role, "tenant": grant.tenant} for grant in who.grants]
        return answered(Answer({"name": who.name, "subject": who.subject, "roles": grants}))


def router(principals: Principals) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin", tags=["principals"]), PrincipalRoutes(principals)
    at.get("/principals", response_model=Page[PrincipalAnswer])(do.list_principals)
    at.post("/principals", response_model=IssuedPrincipal, status_code=201)(do.create_principal)
    at.get("/principals/{principal}", response_model=PrincipalAnswer)(do.get_principal)
    at.patch("/principals/{principal}", response_model=PrincipalAnswer)(do.change_principal)
    at.delete("/principals/{principal}", response_model=PrincipalAnswer)(do.remove_principal)
    at.post("/principals/{principal}/rotate", response_model=IssuedPrincipal)(do.rotate_principal)
    at.get("/whoami", response_model=WhoAnswer)(do.who_am_i)
    return at

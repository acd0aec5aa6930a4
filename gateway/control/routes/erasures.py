"""Erasing what a tenant, or one of its end users, has said."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from gateway.control.erasures import Erasures
from gateway.control.gates import needs
from gateway.control.routes.paging import answered
from gateway.control.routes.shapes import Taken
from gateway.control.service import Asked


class NewErasure(Taken):
    """What is to be erased."""

    end_user: str | None = Field(
        default=None, max_length=512, description="`user` of the bodies; what all of the tenant's have said when null."
    )


class ErasureAnswer(BaseModel):
    tenant: str
    end_user: str | None
    keys: int = Field(description="How many keys were destroyed: one for each end user that something was kept of.")
    erased_at: str


class ErasureRoutes:
    """What is asked of erasures."""

    def __init__(self, erasures: Erasures) -> None:
        self._erasures = erasures

    async def erase(self, asked: Annotated[Asked, needs("admin", "tenant")], tenant: str, body: NewErasure) -> Response:
        """Erase what was said up to now, by destroying its keys. Records and what they cost stay."""
        return answered(await self._erasures.erase(tenant, body.end_user, asked))


def router(erasures: Erasures) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/tenants/{tenant}/erasures", tags=["tenants"]), ErasureRoutes(erasures)
    at.post("", response_model=ErasureAnswer)(do.erase)
    return at

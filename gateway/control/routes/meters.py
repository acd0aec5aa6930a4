"""Meters: how their buckets stand, and other caps for those of the store."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from gateway.control import errors
from gateway.control import meters as meter_uses
from gateway.control.gates import needs
from gateway.control.routes.paging import Listing, answered, page
from gateway.control.routes.shapes import Cap, Page, Taken
from gateway.control.service import Asked

_Permille: TypeAlias = Annotated[
    int | None, Query(ge=0, le=1000, description="Only those with less than this share left.")
]
_Reading: TypeAlias = Annotated[Asked, needs("viewer", "some")]


class CapChange(Taken):
    """Another cap for a meter, of the same quantity."""

    cap: Cap


class MeterAnswer(BaseModel):
    """How a bucket of a meter stands: whole numbers, of money in nano-dollars."""

    bucket: str
    level: str
    tenant: str | None
    subject: str
    quantity: str
    window: str | None
    instance: str | None
    used: int
    leased: int
    cap: int
    cap_text: str
    left: int


class MeterRoutes:
    """What is asked of meters."""

    def __init__(self, meters: meter_uses.MeterUses) -> None:
        self._meters = meters

    async def list_meters(self, asked: _Reading, listing: Listing, below_permille: _Permille = None) -> Response:
        """The buckets of meters that were ever used and that one may see, by name."""
        wanted = meter_uses.Wanted(listing.after, listing.limit, listing.prefix, below_permille)
        return page(*await self._meters.page(wanted, asked.principal))

    async def get_meter(self, asked: _Reading, bucket: str) -> Response:
        """How a meter stands. What stands behind the subject may be left out where it has one meter only."""
        if not meter_uses.sees(asked.principal, meter_uses.named(bucket)):
            raise errors.Forbidden(f"{asked.principal.name} may not read of this meter")
        return answered(await self._meters.get(bucket))

    async def change_meter(
        self, asked: Annotated[Asked, needs("admin", "some")], bucket: str, body: CapChange
    ) -> Response:
        """Raise or lower the cap of a meter of the store. Below what is used, nothing more is let in."""
        return answered(await self._meters.patch(bucket, body.cap, asked))


def router(meters: meter_uses.MeterUses) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/meters", tags=["meters"]), MeterRoutes(meters)
    at.get("", response_model=Page[MeterAnswer])(do.list_meters)
    at.get("/{bucket:path}", response_model=MeterAnswer)(do.get_meter)
    at.patch("/{bucket:path}", response_model=MeterAnswer)(do.change_meter)
    return at

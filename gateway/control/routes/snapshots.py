"""Snapshots: the configurations that were in force, and what differs between two."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from gateway.control.gates import needs
from gateway.control.routes.paging import After, Limit, answered, page
from gateway.control.routes.shapes import Page
from gateway.control.service import Asked
from gateway.control.snapshots import Snapshots

_Reading: TypeAlias = Annotated[Asked, needs("viewer")]


class SnapshotAnswer(BaseModel):
    digest: str
    at: str | None
    base: str | None = Field(description="The snapshot that it was kept as a change of; null of a whole one.")
    bytes: int | None


class SnapshotDetail(SnapshotAnswer):
    backends: int
    models: int
    tenants: int
    projects: int
    keys: int
    description: list[str]


class DifferenceAnswer(BaseModel):
    path: str
    change: Literal["added", "removed", "changed"]
    before: Any
    after: Any


class DiffAnswer(BaseModel):
    old: str
    new: str
    items: list[DifferenceAnswer]
    more: bool


class SnapshotRoutes:
    """What is asked of snapshots."""

    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    async def list_snapshots(self, _: _Reading, limit: Limit = 100, after: After = "") -> Response:
        """The configurations that were ever put in force here, the newest first."""
        return page(*await self._snapshots.history(after or None, limit))

    async def current_snapshot(self, _: _Reading) -> Response:
        """The one in force."""
        return answered(await self._snapshots.current())

    async def get_snapshot(self, _: _Reading, digest: str) -> Response:
        """One of them, in numbers and in words."""
        return answered(await self._snapshots.get(digest))

    async def compare_snapshots(self, _: _Reading, digest: str, other: str) -> Response:
        """What differs from the first to the other."""
        return answered(await self._snapshots.diff(digest, other))


def router(snapshots: Snapshots) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/snapshots", tags=["snapshots"]), SnapshotRoutes(snapshots)
    at.get("", response_model=Page[SnapshotAnswer])(do.list_snapshots)
    at.get("/current", response_model=SnapshotDetail)(do.current_snapshot)
    at.get("/{digest}", response_model=SnapshotDetail)(do.get_snapshot)
    at.get("/{digest}/diff/{other}", response_model=DiffAnswer)(do.compare_snapshots)
    return at

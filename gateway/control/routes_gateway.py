"""Routes of meters, models, backends, snapshots, and of checking a configuration."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from gateway.control import errors, shapes
from gateway.control import meters as meter_uses
from gateway.control.backends import Backends
from gateway.control.checking import Checking
from gateway.control.gates import needs
from gateway.control.paging import After, Limit, Prefix, answered, page, query
from gateway.control.service import Asked
from gateway.control.snapshots import Snapshots

Permille = Annotated[int | None, Query(ge=0, le=1000, description="Only those with less than this share left.")]


def router(meters: meter_uses.MeterUses, backends: Backends, snapshots: Snapshots, checking: Checking) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/admin")

    @routes.get("/meters", response_model=shapes.Page[shapes.MeterAnswer], tags=["meters"])
    async def list_meters(
        asked: Annotated[Asked, needs("viewer", "some")],
        limit: Limit = 100,
        after: After = "",
        prefix: Prefix = "",
        below_permille: Permille = None,
    ) -> Response:
        """The buckets of meters that were ever used and that one may see, by name."""
        wanted = meter_uses.Wanted(after, limit, prefix, below_permille)
        return page(*await meters.page(wanted, asked.principal))

    @routes.get("/meters/{bucket:path}", response_model=shapes.MeterAnswer, tags=["meters"])
    async def get_meter(asked: Annotated[Asked, needs("viewer", "some")], bucket: str) -> Response:
        """How a meter stands. What stands behind the subject may be left out where it has one meter only."""
        if not meter_uses.sees(asked.principal, meter_uses.named(bucket)):
            raise errors.Forbidden(f"{asked.principal.name} may not read of this meter")
        return answered(await meters.get(bucket))

    @routes.patch("/meters/{bucket:path}", response_model=shapes.MeterAnswer, tags=["meters"])
    async def change_meter(
        asked: Annotated[Asked, needs("admin", "some")], bucket: str, body: shapes.CapChange
    ) -> Response:
        """Raise or lower the cap of a meter of the store. Below what is used, nothing more is let in."""
        return answered(await meters.patch(bucket, body.cap, asked))

    @routes.get("/models", response_model=shapes.Page[shapes.ModelAnswer], tags=["models"])
    async def list_models(
        asked: Annotated[Asked, needs("viewer")], limit: Limit = 100, after: After = "", prefix: Prefix = ""
    ) -> Response:
        """The models, by alias."""
        return page(*await backends.models(query(limit, after, prefix)))

    @routes.get("/models/{alias:path}", response_model=shapes.ModelAnswer, tags=["models"])
    async def get_model(asked: Annotated[Asked, needs("viewer")], alias: str) -> Response:
        """A model."""
        return answered(await backends.model(alias))

    @routes.get("/backends", response_model=shapes.Page[shapes.BackendAnswer], tags=["backends"])
    async def list_backends(
        asked: Annotated[Asked, needs("viewer")], limit: Limit = 100, after: After = "", prefix: Prefix = ""
    ) -> Response:
        """The backends, by name, and how their endpoints stand."""
        return page(*await backends.backends(query(limit, after, prefix)))

    @routes.post("/backends/{backend}/drain", response_model=shapes.DrainAnswer, tags=["backends"])
    async def drain_endpoint(
        asked: Annotated[Asked, needs("operator")], backend: str, body: shapes.EndpointBody
    ) -> Response:
        """Send no new call to an endpoint; those that run come to their end."""
        return answered(await backends.drain(backend, body.endpoint, asked))

    @routes.post("/backends/{backend}/resume", response_model=shapes.DrainAnswer, tags=["backends"])
    async def resume_endpoint(
        asked: Annotated[Asked, needs("operator")], backend: str, body: shapes.EndpointBody
    ) -> Response:
        """End the drain of an endpoint."""
        return answered(await backends.resume(backend, body.endpoint, asked))

    @routes.get("/snapshots", response_model=shapes.Page[shapes.SnapshotAnswer], tags=["snapshots"])
    async def list_snapshots(
        asked: Annotated[Asked, needs("viewer")], limit: Limit = 100, after: After = ""
    ) -> Response:
        """The configurations that were ever put in force here, the newest first."""
        return page(*await snapshots.history(after or None, limit))

    @routes.get("/snapshots/current", response_model=shapes.SnapshotDetail, tags=["snapshots"])
    async def current_snapshot(asked: Annotated[Asked, needs("viewer")]) -> Response:
        """The one in force."""
        return answered(await snapshots.current())

    @routes.get("/snapshots/{digest}", response_model=shapes.SnapshotDetail, tags=["snapshots"])
    async def get_snapshot(asked: Annotated[Asked, needs("viewer")], digest: str) -> Response:
        """One of them, in numbers and in words."""
        return answered(await snapshots.get(digest))

    @routes.get("/snapshots/{digest}/diff/{other}", response_model=shapes.DiffAnswer, tags=["snapshots"])
    async def compare_snapshots(asked: Annotated[Asked, needs("viewer")], digest: str, other: str) -> Response:
        """What differs from the first to the other."""
        return answered(await snapshots.diff(digest, other))

    @routes.post("/check", response_model=shapes.CheckAnswer, tags=["check"])
    async def check_files(asked: Annotated[Asked, needs("operator")], body: shapes.FilesBody) -> Response:
        """What is wrong with a configuration, what is doubtful, and what it would run. Nothing is changed."""
        return answered(await checking.check(body.files))

    return routes

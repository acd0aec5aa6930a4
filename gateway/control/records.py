"""The records of requests, as far as a principal may see them."""

from __future__ import annotations

import msgspec

from gateway.control import errors, stored
from gateway.control.service import Answer, Body, Service
from gateway.policy.roles import Principal
from gateway.store import record_read, record_view
from gateway.store.record_query import NEWEST, Query


class Records:
    """The use cases."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, query: Query, limit: int, after: str, principal: Principal) -> tuple[list[Body], str | None]:
        """A page of the newest, and where the next one goes on. Raises errors.Invalid, errors.Unavailable."""
        wanted = msgspec.structs.replace(
            query,
            order=NEWEST,
            limit=limit + 1,
            tenants=stored.tenants(principal),
            before=_place(after) if after else None,
        )
        found = await stored.read("the records", lambda: list(record_read.records(self._service.state_dir, wanted)))
        page = found[:limit]
        following = f"{page[-1].started_ns}:{page[-1].id}" if len(found) > limit else None
        return [record_view.named(record) for record in page], following

    async def get(self, record_id: str, principal: Principal) -> Answer:
        """One of them; those of other tenants are as if they were not there. Raises errors.NotFound."""
        found = await stored.read("the records", lambda: record_read.record(self._service.state_dir, record_id))
        if found is None or not principal.sees(found.tenant):
            raise errors.NotFound("there is no record of this id: it never was, or was dropped with its day")
        return Answer(record_view.named(found))


def _place(after: str) -> tuple[int, str]:
    moment, _, last = after.partition(":")
    if not moment.removeprefix("-").isdecimal() or not moment.isascii() or len(moment) > 19 or not last:
        raise errors.Invalid("after: it is `next` of the page before", param="after")
    return int(moment), last

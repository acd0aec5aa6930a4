"""Traces, as far as a principal may see them."""

from __future__ import annotations

import asyncio

import msgspec

from gateway.control import errors, stored
from gateway.control.service import Answer, Body, Service
from gateway.policy.roles import Principal
from gateway.store import trace_read, trace_tree
from gateway.store.trace_read import Asked


class Traces:
    """The use cases."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def page(self, asked: Asked, after: str, principal: Principal) -> tuple[list[Body], str | None]:
        """A page of the newest, and where the next one goes on. Raises errors.Invalid, errors.Unavailable."""
        until = [moment for moment in (asked.until_ns, _place(after) if after else None) if moment is not None]
        wanted = asked._replace(
            tenants=stored.tenants(principal), limit=asked.limit + 1, until_ns=min(until) if until else None
        )
        found = await stored.read("the traces", lambda: trace_read.newest(self._service.state_dir, wanted))
        page = found[: asked.limit]
        following = str(page[-1].started_ns) if len(found) > asked.limit else None
        return [trace_tree.listed(line) for line in page], following

    async def get(self, trace: str, tenant: str, principal: Principal) -> Answer:
        """One of them; other tenants' are as if they were not there. Raises errors.NotFound, errors.Invalid."""
        asked = Asked(tenant=tenant, tenants=stored.tenants(principal))
        found = await stored.read("the traces", lambda: trace_read.read(self._service.state_dir, trace, asked))
        if not found:
            raise errors.NotFound("there is no trace of this id: it never was, or was dropped with its day")
        if len(found) > 1:
            raise errors.Invalid("several tenants have a trace of this id: say whose", param="tenant")
        built: Body = await asyncio.to_thread(lambda: msgspec.to_builtins(trace_tree.tree(found[0])))
        return Answer(built)


def _place(after: str) -> int:
    """Traces that began before it come after it."""
    if not after.isdecimal() or not after.isascii() or len(after) > 19:
        raise errors.Invalid("after: it is `next` of the page before", param="after")
    return int(after)

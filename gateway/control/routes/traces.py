"""Traces: runs of agents, and what the gateway did in them."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from gateway.control.gates import needs
from gateway.control.routes.paging import After, Limit, answered, page
from gateway.control.routes.shapes import Page
from gateway.control.routes.times import Time, ns
from gateway.control.service import Asked
from gateway.control.traces import Traces
from gateway.store import trace_read

DAY_NS: Final = 86_400 * 10**9
"""How far back a list looks where nothing else is said."""

_Reading: TypeAlias = Annotated[Asked, needs("viewer", "some")]
_Tenant: TypeAlias = Annotated[str, Query(max_length=300, description="Only this tenant's.")]
_Trace: TypeAlias = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]


class TraceLine(BaseModel):
    """One trace of a list. Counts, tokens and cost are those of its requests to this gateway."""

    trace: str
    tenant: str
    started: str
    took_ms: float
    name: str = Field(description="Of the first span.")
    service: str = Field(description="The program that sent it.")
    agent_spans: int
    requests: int
    errors: int = Field(description="Spans and requests that failed.")
    input_tokens: int
    output_tokens: int
    charge_usd_nanos: int


class TraceSpan(BaseModel):
    """One span of a tree."""

    span: str
    parent: str = Field(description="Empty for a root.")
    source: str = Field(description="gateway or agent: who made it, and by whose clock.")
    name: str
    kind: str
    depth: int = Field(description="0 for a root.")
    started_ns: int
    at_ms: float = Field(description="After the trace began.")
    took_ms: float
    error: bool
    error_type: str
    lost_parent: bool = Field(description="It names a parent that is not there.")
    outside: bool = Field(description="It began before its parent did, or ended after it.")
    operation: str
    model: str
    agent: str
    tool: str
    request: str = Field(description="Of the gateway's: the request's id.")
    input_tokens: int | None
    output_tokens: int | None
    cost_usd_nanos: int | None
    service: str
    attributes: dict[str, Any]
    events: list[tuple[str, int]] = Field(description="Name, and nanoseconds since 1970.")
    left_out: int = Field(description="Attributes that are not kept.")


class TraceAnswer(BaseModel):
    """A trace, its spans in the order in which a tree is drawn."""

    trace: str
    tenant: str
    started: str
    took_ms: float
    requests: int
    agent_spans: int
    errors: int
    outside: int
    lost_parents: int
    input_tokens: int
    output_tokens: int
    cost_usd_nanos: int | None
    cut: bool = Field(description="There are more spans than are read.")
    spans: list[TraceSpan]


class TraceRoutes:
    """What is asked of traces."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    async def list_traces(
        self,
        asked: _Reading,
        since: Time = None,
        until: Time = None,
        tenant: _Tenant = "",
        limit: Limit = 100,
        after: After = "",
    ) -> Response:
        """Runs of agents, the newest first, as far as one may see them; of the last day where `since` is not given."""
        since_ns = ns(since, "since")
        wanted = trace_read.Asked(
            since_ns=time.time_ns() - DAY_NS if since_ns is None else since_ns,
            until_ns=ns(until, "until"),
            tenant=tenant,
            limit=limit,
        )
        return page(*await self._traces.page(wanted, after, asked.principal))

    async def get_trace(self, asked: _Reading, trace: _Trace, tenant: _Tenant = "") -> Response:
        """One of them as a tree."""
        return answered(await self._traces.get(trace, tenant, asked.principal))


def router(traces: Traces) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/traces", tags=["traces"]), TraceRoutes(traces)
    at.get("", response_model=Page[TraceLine])(do.list_traces)
    at.get("/{trace}", response_model=TraceAnswer)(do.get_trace)
    return at

"""Records: what became of each request, never what was said."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field, create_model

from gateway.control.gates import needs
from gateway.control.records import Records
from gateway.control.routes.paging import After, Limit, answered, page
from gateway.control.routes.shapes import Page
from gateway.control.routes.times import Time, ns
from gateway.control.service import Asked
from gateway.store import record_query
from gateway.store.record_rows import COLUMNS, Column

_Only: TypeAlias = Annotated[str | None, Query(max_length=300)]
_Status: TypeAlias = Annotated[int | None, Query(ge=0, le=999, description="0: none was sent.")]
_Verdict: TypeAlias = Annotated[
    str, Query(max_length=300, description="A part of a verdict, or several: `block`, `pii`, `input:pii`.")
]
_Trace: TypeAlias = Annotated[str, Query(max_length=32, description="The trace id of the caller's `traceparent`.")]
_MinCost: TypeAlias = Annotated[float | None, Query(ge=0, le=10**9, description="That cost so many dollars or more.")]
_MinMs: TypeAlias = Annotated[float | None, Query(ge=0, le=10**12, description="That took so long or longer.")]
_Reading: TypeAlias = Annotated[Asked, needs("viewer", "some")]

_KINDS: Final[dict[str, Any]] = {"VARCHAR": str, "BOOLEAN": bool, "DOUBLE": float, "BIGINT": int, "TIMESTAMP": str}
_UNKNOWN: Final = frozenset(
    ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_tokens", "input_rows", "charge_usd_nanos")
)
"""Columns that may be null."""


def _kind(column: Column) -> Any:
    kind = _KINDS.get(column.kind, list[dict[str, Any]])
    return kind | None if column.name in _UNKNOWN else kind


_outline: Any = create_model
RecordAnswer: Final[Any] = _outline(
    "RecordAnswer", **{column.name: (_kind(column), Field(description=column.meaning)) for column in COLUMNS}
)


async def _query(
    since: Time = None,
    until: Time = None,
    tenant: _Only = None,
    key: _Only = None,
    project: _Only = None,
    model: _Only = None,
    backend: _Only = None,
    conversation: _Only = None,
    end_user: _Only = None,
    outcome: _Only = None,
    code: _Only = None,
    status: _Status = None,
    verdict: _Verdict = "",
    trace: _Trace = "",
    min_cost_usd: _MinCost = None,
    min_total_ms: _MinMs = None,
) -> record_query.Query:
    return record_query.Query(
        since_ns=ns(since, "since"),
        until_ns=ns(until, "until"),
        tenant=tenant,
        key=key,
        project=project,
        model=model,
        backend=backend,
        conversation=conversation,
        end_user=end_user,
        outcome=outcome,
        code=code,
        status=status,
        verdict=verdict,
        trace=trace,
        min_charge_nanos=None if min_cost_usd is None else round(min_cost_usd * 10**9),
        min_total_ms=min_total_ms,
    )


class RecordRoutes:
    """What is asked of records."""

    def __init__(self, records: Records) -> None:
        self._records = records

    async def list_records(
        self,
        asked: _Reading,
        query: Annotated[record_query.Query, Depends(_query)],
        limit: Limit = 100,
        after: After = "",
    ) -> Response:
        """What became of requests, the newest first, as far as one may see it."""
        return page(*await self._records.page(query, limit, after, asked.principal))

    async def get_record(self, asked: _Reading, record: str) -> Response:
        """What became of one request."""
        return answered(await self._records.get(record, asked.principal))


def router(records: Records) -> APIRouter:
    """The paths."""
    at, do = APIRouter(prefix="/admin/records", tags=["records"]), RecordRoutes(records)
    at.get("", response_model=Page[RecordAnswer])(do.list_records)
    at.get("/{record}", response_model=RecordAnswer)(do.get_record)
    return at

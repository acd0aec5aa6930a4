"""Queries of lists, and answers as responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from fastapi import Depends, Query, Response

from gateway.control import entries
from gateway.control.service import Answer, Body

MOST_ITEMS: Final = 1_000

Limit: TypeAlias = Annotated[int, Query(ge=1, le=MOST_ITEMS, description="The longest page.")]
After: TypeAlias = Annotated[str, Query(max_length=1_000, description="`next` of the page before.")]
Prefix: TypeAlias = Annotated[str, Query(max_length=1_000, description="Only what begins so.")]
Gone: TypeAlias = Annotated[bool, Query(description="Those that were removed as well.")]


async def _there(limit: Limit = 100, after: After = "", prefix: Prefix = "") -> entries.Query:
    return entries.Query(after=after, limit=limit, prefix=prefix)


async def _ever(limit: Limit = 100, after: After = "", prefix: Prefix = "", gone: Gone = False) -> entries.Query:
    return entries.Query(after=after, limit=limit, prefix=prefix, gone=gone)


Listing: TypeAlias = Annotated[entries.Query, Depends(_there)]
"""The parameters of a list."""
ListingEver: TypeAlias = Annotated[entries.Query, Depends(_ever)]
"""The same where what was removed can be listed too."""


def page(items: Sequence[Body], following: str | int | None) -> Response:
    """A page as the response."""
    return _json({"items": items, "next": following}, 200, {})


def answered(answer: Answer, status: int = 200) -> Response:
    """An answer as the response, with its version as the etag."""
    headers = {} if answer.version is None else {"etag": f'"{answer.version}"'}
    if answer.replayed:
        headers["idempotent-replayed"] = "true"
    return _json(answer.body, status, headers)


def _json(body: Any, status: int, headers: dict[str, str]) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")

"""Times in queries."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final, TypeAlias

from fastapi import Query

from gateway.control import errors

Time: TypeAlias = Annotated[
    str | None,
    Query(max_length=64, description="A moment with its zone (2026-11-22T09:00:00Z), or a day: its beginning in UTC."),
]
_LAST_NS: Final = 2**63 - 1
"""As late as a store can say."""


def ns(written: str | None, param: str) -> int | None:
    """Nanoseconds since the epoch; None for none. Raises errors.Invalid."""
    if written is None:
        return None
    try:
        moment = datetime.fromisoformat(written)
        if len(written) == len("2026-11-22"):
            moment = moment.replace(tzinfo=UTC)
        if moment.tzinfo is None:
            raise ValueError
        return min(max(0, int(moment.timestamp())) * 10**9, _LAST_NS)
    except (ValueError, OverflowError) as error:
        told = f"{param}: expected a day (2026-11-22) or a time with its zone (2026-11-22T09:00:00Z)"
        raise errors.Invalid(told, param=param) from error

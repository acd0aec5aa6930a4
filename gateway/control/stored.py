"""What use cases share that read the tables of the state directory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from gateway.control import errors
from gateway.policy.roles import Principal
from gateway.store.manifest import LedgerUnreadable
from gateway.store.record_rows import SchemaTooNew

_T = TypeVar("_T")


async def read(what: str, work: Callable[[], _T]) -> _T:
    """What `work` reads, in a thread. Raises errors.Unavailable."""
    try:
        return await asyncio.to_thread(work)
    except (LedgerUnreadable, SchemaTooNew, OSError, ImportError) as error:
        raise errors.Unavailable(f"{what}: {error}") from error


def tenants(principal: Principal) -> tuple[str, ...]:
    """Whose rows one may see; none: everybody's."""
    return () if principal.sees_all() else tuple(sorted(principal.tenants()))

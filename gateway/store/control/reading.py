"""What the stores read alike: they differ in how rows are fetched."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from gateway.config.entries import Entry, EntryId, Kind
from gateway.policy.changes import Change
from gateway.store.control import queries
from gateway.store.control.base import REMEMBERED_NS, Filters, Remembered


class Reading(ABC):
    """The questions of `ControlStore` that one statement answers."""

    @abstractmethod
    async def _rows(self, text: str, *values: Any) -> Sequence[Any]:
        """The rows of a statement of `queries`. Raises ControlStoreDown."""

    async def revision(self) -> int:
        """See `ControlStore`."""
        return queries.head_of(await self._rows(queries.HEAD)).seq

    async def entries(
        self,
        kind: Kind | None = None,
        tenant: str | None = None,
        *,
        after: EntryId | None = None,
        limit: int | None = None,
        prefix: str = "",
        gone: bool = False,
    ) -> list[Entry]:
        """See `ControlStore`."""
        query = queries.entries(kind, tenant, after, limit, prefix, gone)
        return [queries.entry_of(row) for row in await self._rows(query.text, *query.values)]

    async def entry(self, of: EntryId) -> Entry | None:
        """See `ControlStore`."""
        rows = await self._rows(queries.ONE_ENTRY, *of)
        return next((entry for entry in map(queries.entry_of, rows) if entry.gone_ns is None), None)

    async def changes(self, after_seq: int = 0, limit: int = 100, filters: Filters | None = None) -> list[Change]:
        """See `ControlStore`."""
        return await self._changes(queries.changes(limit, filters, after=after_seq))

    async def newest_changes(self, before_seq: int | None, limit: int, filters: Filters | None = None) -> list[Change]:
        """See `ControlStore`."""
        return await self._changes(queries.changes(limit, filters, before=before_seq))

    async def recall(self, principal: str, key: str, now_ns: int) -> Remembered | None:
        """See `ControlStore`."""
        rows = await self._rows(queries.ANSWER, principal, key, now_ns - REMEMBERED_NS)
        return Remembered(*rows[0]) if rows else None

    async def _changes(self, query: queries.Query) -> list[Change]:
        return [queries.change_of(row) for row in await self._rows(query.text, *query.values)]

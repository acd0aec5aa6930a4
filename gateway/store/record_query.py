"""Which records are asked for. Pure: a `Query` is a test of one record."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from gateway.store.records import Record

OLDEST: Final = "oldest"
NEWEST: Final = "newest"
ANY: Final = "any"
ORDERS: Final = (OLDEST, NEWEST, ANY)
"""By the moment a request began (and its id); or as they come, which needs no memory however many there are."""


class Query(msgspec.Struct, frozen=True):
    """What is asked for; None and an empty text ask for nothing in particular. Times are nanoseconds since the Unix
    epoch: requests that began in [since, until)."""

    since_ns: int | None = None
    until_ns: int | None = None
    tenant: str | None = None
    key: str | None = None
    project: str | None = None
    model: str | None = None
    """The alias, as the caller named it."""
    backend: str | None = None
    conversation: str | None = None
    end_user: str | None = None
    outcome: str | None = None
    code: str | None = None
    status: int | None = None
    """0: none was sent."""
    trace: str = ""
    """The trace id of the caller's `traceparent`."""
    verdict: str = ""
    """A part of a verdict, or parts one behind the other: `block`, `pii`, `input:pii`, `pii:EMAIL_ADDRESS:mask`."""
    min_charge_nanos: int | None = None
    min_total_ms: float | None = None
    ids: tuple[str, ...] = ()
    """Only these; none: any."""
    traces: tuple[str, ...] = ()
    """Only of these traces, by the trace ids of callers' `traceparent`; none: any."""
    tenants: tuple[str, ...] = ()
    """Only of these; none: of any."""
    before: tuple[int, str] | None = None
    """Those that come before this moment and id: where a page of the newest goes on."""
    limit: int | None = None
    """So many at most: the first ones in `order`."""
    order: str = OLDEST
    """One of `ORDERS`."""

    @property
    def same(self) -> tuple[tuple[str, str | int], ...]:
        """Columns of a record, and the value each must have."""
        wanted = ((column, getattr(self, name)) for name, column in _SAME)
        return tuple((column, value) for column, value in wanted if value is not None)

    def holds(self, record: Record) -> bool:
        """Is this one asked for? (`limit` and `order` aside.)"""
        for name, column in _SAME:  # `same` would be made anew for each record
            value = getattr(self, name)
            if value is not None and getattr(record, column) != value:
                return False
        return (
            (self.since_ns is None or record.started_ns >= self.since_ns)
            and (self.until_ns is None or record.started_ns < self.until_ns)
            and (not self.trace or record.traceparent[3:35] == self.trace)
            and (self.min_charge_nanos is None or (record.charge_nanos or 0) >= self.min_charge_nanos)
            and (self.min_total_ms is None or record.total_ms >= self.min_total_ms)
            and (not self.ids or record.id in self.ids)
            and (not self.traces or record.traceparent[3:35] in self.traces)
            and (not self.tenants or record.tenant in self.tenants)
            and (self.before is None or (record.started_ns, record.id) < self.before)
            and (not self.verdict or re.search(self.verdict_pattern, record.verdicts) is not None)
        )

    @property
    def verdict_pattern(self) -> str:
        """A regular expression that is found in the verdicts of records with that verdict; RE2 reads it too."""
        return rf"(?:^| )(?:[^ :]*:){{0,3}}{re.escape(self.verdict)}:"


_SAME: Final = (
    *((name, name) for name in ("tenant", "key", "project", "backend", "conversation", "end_user", "outcome", "code")),
    ("model", "alias"),
    ("status", "status"),
)

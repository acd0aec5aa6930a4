"""Recorded requests as a trace for `lockgate simulate`, and what differs from what was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gateway.cli import archived
from gateway.cli.terminal import visible
from gateway.config.snapshot import Snapshot
from gateway.config.units_money import money_text
from gateway.policy.rerun import Compared, Rerun, difference
from gateway.policy.trace import Counts, Request
from gateway.store.record_query import OLDEST, Query

if TYPE_CHECKING:
    ByDay = Mapping[tuple[str, str], Counts]

_LINE: Final = "  {:20} {:>9} {:>9} {:>9} {:>14} {:>14} {:>14}"
_NANO: Final = Decimal(10**9)


class Recorded:
    """The requests, once, the oldest first; then what differs."""

    unordered = 0

    def __init__(self, state_dir: Path, snapshot: Snapshot, since_ns: int, until_ns: int | None) -> None:
        self._state_dir = state_dir
        self._query = Query(since_ns=since_ns, until_ns=until_ns, order=OLDEST)
        self._rerun = Rerun(snapshot)

    def __iter__(self) -> Iterator[Request]:
        for record in archived.records(self._state_dir, self._query):
            request = self._rerun.request(record)
            if request is not None:
                yield request

    def lines(self, by_day: ByDay) -> Iterator[str]:
        """What differs, by tenant, and what nobody can know."""
        yield "\nBeside what was"
        yield _LINE.format("tenant", "requests", "refused", "now", "cost", "now", "difference")
        for tenant, then, now in self._tenants(by_day):
            more_refused, more_nanos = difference(then, now)
            yield _LINE.format(
                tenant[:20],
                f"{then.requests:,}",
                f"{then.refused:,}",
                f"{then.refused + more_refused:,}",
                money_text(then.cost_nanos),
                money_text(now.cost_nanos),
                money_text(more_nanos),
            )
        for (tenant, model, then_, now_), count in self._rerun.routes.most_common():
            yield f"  {count:>9,}  {tenant}: {visible(model)} goes to {now_}, and went to {then_}"
        for what, count in (
            ("answers were never made: they count as requests, at no cost", self._sum("never_made")),
            ("answers were cut short: they cost what there was of them", self._sum("cut_short")),
            ("requests are left out, which no prices or meters change", self._rerun.left_out.total()),
        ):
            if count:
                yield f"  {count:>9,}  {what}"

    def compared(self, by_day: ByDay) -> dict[str, Any]:
        """The same for programs."""
        return {
            "tenants": [
                {
                    "tenant": tenant,
                    "requests": then.requests,
                    "refused": then.refused,
                    "refused_now": then.refused + difference(then, now)[0],
                    "cost_usd": f"{then.cost_nanos / _NANO:f}",
                    "cost_usd_now": f"{now.cost_nanos / _NANO:f}",
                    "never_made": then.never_made,
                    "cut_short": then.cut_short,
                }
                for tenant, then, now in self._tenants(by_day)
            ],
            "routes": [
                {"tenant": tenant, "model": model, "backend": then, "backend_now": now, "requests": count}
                for (tenant, model, then, now), count in self._rerun.routes.most_common()
            ],
            "left_out": dict(self._rerun.left_out),
        }

    def _tenants(self, by_day: ByDay) -> Iterator[tuple[str, Compared, Counts]]:
        for tenant, then in sorted(self._rerun.tenants.items()):
            now = Counts()
            for (name, _), counts in by_day.items():
                if name == tenant:
                    for each in Counts.__struct_fields__:
                        setattr(now, each, getattr(now, each) + getattr(counts, each))
            yield tenant, then, now

    def _sum(self, name: str) -> int:
        return sum(getattr(each, name) for each in self._rerun.tenants.values())

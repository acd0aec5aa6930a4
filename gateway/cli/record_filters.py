"""Which requests a command is about: the options that choose records."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from gateway.cli import stored

if TYPE_CHECKING:
    from gateway.store.record_query import Query

_F = TypeVar("_F", bound=Callable[..., Any])
ALL: Final = 2**40
"""More than there are."""
NEWEST: Final = "newest"
OLDEST: Final = "oldest"
"""As `record_query` names them, which is loaded only when records are read."""


def filters(command: _F) -> _F:
    """Adds what records are chosen by."""
    for option in reversed(
        (
            click.option(
                "--since", metavar="TIME", callback=stored.moment, help="From then on: 7d, 12h, 2026-11-01 (UTC)."
            ),
            click.option("--until", metavar="TIME", callback=stored.moment, help="Before then."),
            click.option("--tenant", metavar="NAME", help="Only this tenant's; the same for those below."),
            click.option("--key", metavar="NAME"),
            click.option("--project", metavar="NAME"),
            click.option("--model", metavar="NAME"),
            click.option("--backend", metavar="NAME"),
            click.option("--verdict", metavar="PART", default="", help="Of what checks found: block, pii, input:pii."),
            click.option("--status", type=click.IntRange(0, 999), metavar="N", help="0: none was sent."),
            click.option("--code", metavar="CODE", help="ok, or an error's code."),
            click.option("--outcome", metavar="WORD", help="answered, refused, cancelled, failed or crashed."),
            click.option("--min-cost", type=click.FloatRange(min=0), metavar="USD", help="That cost so much or more."),
            click.option("--min-ms", type=click.FloatRange(min=0), metavar="MS", help="That took so long or longer."),
            click.option("--conversation", metavar="ID"),
            click.option("--end-user", metavar="ID"),
            click.option("--trace", metavar="ID", default="", help="The trace id of the caller's `traceparent`."),
        )
    ):
        command = option(command)
    return command


def query(given: dict[str, Any], limit: int, order: str = NEWEST) -> Query:
    """What the options ask for."""
    from gateway.store import record_query

    given = dict(given)
    cost = given.pop("min_cost")
    return record_query.Query(
        since_ns=given.pop("since"),
        until_ns=given.pop("until"),
        min_charge_nanos=None if cost is None else round(cost * 10**9),
        min_total_ms=given.pop("min_ms"),
        limit=limit if limit < ALL else None,
        order=order,
        **given,
    )

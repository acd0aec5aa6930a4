"""`lockgate simulate`: what a configuration would cost and refuse, of a trace or of recorded requests."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import click

from gateway.cli import places
from gateway.errors import ConfigError

if TYPE_CHECKING:
    from gateway.cli.simulate_records import Recorded
    from gateway.config.model import Config
    from gateway.policy.simulate import Simulation
    from gateway.policy.trace import Counts

SUMS: Final = (
    *("requests", "served", "refused", "refused_rate", "refused_budget", "refused_other", "downgraded", "clamped"),
    *("shortened", "cut", "input_tokens", "output_tokens", "cost_usd", "asked_usd"),
)
"""The columns of a row after `tenant` and `day`."""
_IN_TABLE: Final = tuple(name for name in SUMS if not name.startswith("refused_"))
_NANO: Final = Decimal(10**9)
_MOST_NAMED: Final = 12


@click.command(short_help="Say what a configuration would cost and refuse.")
@click.option(
    "--trace",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A CSV file: time, input and output tokens; if there, tenant, model, key, project, user, max_tokens, …",
)
@click.option(
    "--config",
    "directory",
    metavar="DIR",
    required=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The configuration, with its prices and meters.",
)
@click.option(
    "--since", metavar="TIME", help="Instead of a trace: recorded requests from then on (7d, 12h, 2026-11-01)."
)
@click.option("--until", metavar="TIME", help="With --since: before then.")
@click.option(
    "--state-dir",
    metavar="D",
    type=click.Path(path_type=Path, file_okay=False),
    help="With --since: whose records.  [default: state]",
)
@click.option("--tenant", metavar="NAME", help="Of rows that name none (default: the only one there is).")
@click.option("--model", metavar="NAME", help="Of rows that name none (default: the only one there is).")
@click.option("--start", metavar="TIME", help="When a trace that counts its own seconds begins (default: today, UTC).")
@click.option("--zone", default="UTC", show_default=True, help="The time zone of the days in the answer.")
@click.option("--first-token-ms", type=click.FloatRange(0, 1e7), default=500, show_default=True)
@click.option("--tokens-per-s", type=click.FloatRange(0.01, 1e6), default=50, show_default=True)
@click.option("--bytes-per-token", type=click.FloatRange(1, 1000), default=5, show_default=True)
@click.option("--unary", is_flag=True, help="No answer is streamed: none can be metered as it runs.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json"]), default="table", show_default=True)
def simulate(
    trace: Path | None,
    directory: Path,
    since: str | None,
    until: str | None,
    state_dir: Path | None,
    tenant: str | None,
    model: str | None,
    start: str | None,
    zone: str,
    first_token_ms: float,
    tokens_per_s: float,
    bytes_per_token: float,
    unary: bool,
    form: str,
) -> None:
    """Run the requests of a trace through the prices and meters of a configuration, in the time of the trace: what
    they would have cost, and which would have been refused, downgraded, clamped or cut, by tenant and day. With --since
    they are the requests that a gateway recorded, and what differs from what was is told; answers that were never made
    are counted, not guessed.

    Nothing is asked and nothing is spent. How long requests run follows from --first-token-ms and --tokens-per-s; the
    input that is held for each, from --bytes-per-token. A row without max_tokens may put out the model's max_output.
    """
    from gateway.cli.simulate_records import Recorded
    from gateway.cli.simulate_trace import Defaults, Trace
    from gateway.config import load, snapshot
    from gateway.config.snapshot_meters import Window
    from gateway.policy import windows
    from gateway.policy.simulate import Simulation
    from gateway.policy.trace import Assumptions, Counts, with_keys

    if (trace is None) == (since is None):
        raise click.UsageError("say --trace FILE, or --since TIME for recorded requests")
    config = with_keys(load.load(directory, environ=os.environ))
    day = Window("day", zone=_zone(zone))
    snap = snapshot.compile(config, "")
    rows: Trace | Recorded
    if trace is not None:
        rows = Trace(trace, Defaults(_tenant(config, tenant), _model(config, model), _start_ns(start)))
    else:
        assert since is not None
        where = places.state_dir_of(state_dir, None)
        rows = Recorded(
            where, snap, _moment_ns(since, "--since"), None if until is None else _moment_ns(until, "--until")
        )
    simulation = Simulation(snap, Assumptions(first_token_ms / 1000, tokens_per_s, bytes_per_token, not unary))
    by_day: dict[tuple[str, str], Counts] = {}
    today, until_ns = "", 0
    for request in rows:
        for what, name, names in (("tenant", request.tenant, config.tenants), ("model", request.model, config.models)):
            if not name:
                raise ConfigError(f"the trace names no {what}: say --{what}, one of {', '.join(sorted(names)[:20])}")
        if request.at_ns >= until_ns:
            today, until_ns = windows.instance(day, request.at_ns), windows.ends_ns(day, request.at_ns) or 0
        counts = by_day.get((request.tenant, today))
        if counts is None:
            counts = by_day[request.tenant, today] = Counts()
        simulation.take(request, counts)
    simulation.finish()
    for line in _FORMS[form](by_day, simulation, rows if isinstance(rows, Recorded) else None):
        click.echo(line)
    if rows.unordered:
        click.echo(f"{rows.unordered} rows stood before their time: taken as of the row above them", err=True)


def _table(by_day: Mapping[tuple[str, str], Counts], simulation: Simulation, records: Recorded | None) -> Iterator[str]:
    from gateway.cli import usage_table

    rows = [[tenant, day, *(_sums(counts)[name] for name in _IN_TABLE)] for (tenant, day), counts in _sorted(by_day)]
    if not rows:
        yield "There are no requests."
        return
    yield from usage_table.table(["tenant", "day", *_IN_TABLE], rows)
    yield f"\nAt most {simulation.ran_most:,} requests ran at once."
    for title, counter in (
        ("Refused by", simulation.refused_by),
        ("Refused for another reason", simulation.refused_why),
        ("Warned", simulation.warned),
    ):
        yield from _counted(title, counter)
    if records is not None:
        yield from records.lines(by_day)


def _counted(title: str, counter: Counter[str]) -> Iterator[str]:
    if counter:
        yield f"\n{title}"
        yield from (f"  {count:>9,}  {name}" for name, count in counter.most_common(_MOST_NAMED))
    if len(counter) > _MOST_NAMED:
        yield f"             … and {len(counter) - _MOST_NAMED} more"


def _csv(by_day: Mapping[tuple[str, str], Counts], _simulation: Simulation, _records: Recorded | None) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["tenant", "day", *SUMS])
    for (tenant, day), counts in _sorted(by_day):
        sums = _sums(counts)
        writer.writerow([tenant, day, *(_text(sums[name]) for name in SUMS)])
    yield text.getvalue().removesuffix("\n")


def _json(by_day: Mapping[tuple[str, str], Counts], simulation: Simulation, records: Recorded | None) -> Iterator[str]:
    rows = []
    for (tenant, day), counts in _sorted(by_day):
        sums = {name: _text(value) for name, value in _sums(counts).items()}
        rows.append({"tenant": tenant, "day": day, **sums})
    found: dict[str, Any] = {
        "rows": rows,
        "ran_most": simulation.ran_most,
        "refused_by": dict(simulation.refused_by.most_common()),
        "refused_why": dict(simulation.refused_why.most_common()),
        "warned": dict(simulation.warned.most_common()),
    }
    if records is not None:
        found["compared"] = records.compared(by_day)
    yield json.dumps(found, indent=2, ensure_ascii=False)


_FORMS: Final = {"table": _table, "csv": _csv, "json": _json}


def _sorted(by_day: Mapping[tuple[str, str], Counts]) -> list[tuple[tuple[str, str], Counts]]:
    return sorted(by_day.items(), key=lambda item: item[0])


def _sums(counts: Counts) -> dict[str, int | Decimal]:
    return {
        "requests": counts.requests,
        "served": counts.served,
        "refused": counts.refused_rate + counts.refused_budget + counts.refused_other,
        "refused_rate": counts.refused_rate,
        "refused_budget": counts.refused_budget,
        "refused_other": counts.refused_other,
        "downgraded": counts.downgraded,
        "clamped": counts.clamped,
        "shortened": counts.shortened,
        "cut": counts.cut,
        "input_tokens": counts.input_tokens,
        "output_tokens": counts.output_tokens,
        "cost_usd": counts.cost_nanos / _NANO,
        "asked_usd": counts.asked_nanos / _NANO,
    }


def _text(value: int | Decimal) -> int | str:
    """Money as exact text, without an exponent."""
    return f"{value:f}" if isinstance(value, Decimal) else value


def _tenant(config: Config, named: str | None) -> str:
    return _only("tenant", list(config.tenants), named)


def _model(config: Config, named: str | None) -> str:
    return _only("model", list(config.models), named)


def _only(what: str, names: list[str], named: str | None) -> str:
    """The name that was given, or the only one there is; empty when rows must say it."""
    from gateway.config.shape import nearest

    if named is not None and named not in names:
        raise ConfigError(f"--{what}: there is no {what} {named!r}; {nearest(named, names)}")
    return named or (names[0] if len(names) == 1 else "")


def _zone(name: str) -> str:
    from gateway.config import units_money

    try:
        return units_money.zone(name)
    except ValueError as error:
        raise ConfigError(f"--zone: {error}") from None


def _start_ns(written: str | None) -> int:
    if written is None:
        today = datetime.fromtimestamp(time.time(), UTC).date()
        return int(datetime(today.year, today.month, today.day, tzinfo=UTC).timestamp()) * 10**9
    return _moment_ns(written, "--start")


def _moment_ns(written: str, option: str) -> int:
    from gateway.cli.usage_times import moment_ns

    try:
        return moment_ns(written, ZoneInfo("UTC"), time.time_ns())
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None

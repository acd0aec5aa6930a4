"""`lockgate usage`: who used what and what it cost."""

from __future__ import annotations

import csv
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import click

from gateway.cli import places
from gateway.store.usage_query import BY, WINDOWS, Question

if TYPE_CHECKING:
    from gateway.store.usage import Answer, Value

_FILTERS = ("tenant", "project", "key", "end_user", "model", "trace")


class Columns(click.ParamType[tuple[str, ...]]):
    """Names of `BY`, with commas, and of a window; `total` for none."""

    name = "columns"

    def convert(
        self, value: str | tuple[str, ...], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip().replace("-", "_") for name in value.split(",")) if value != "total" else ()
        for name in names:
            if name not in BY and name not in WINDOWS:
                self.fail(f"{name!r} is none of {', '.join(BY)}; or say total", param, ctx)
        if len(set(WINDOWS) & set(names)) > 1:
            self.fail("only one window at a time", param, ctx)
        if len(set(names)) != len(names):
            self.fail("a name stands there twice", param, ctx)
        return names


@click.command(short_help="Say who used what, and what it cost.")
@click.option(
    "--by",
    metavar="A,B,…",
    type=Columns(),
    default="tenant,model",
    show_default=True,
    help=f"What tells rows apart: {', '.join(BY)}, or a window; or total.",
)
@click.option("--since", metavar="TIME", help="From then on: 7d, 12h, 2026-11-01, 2026-11-01T12:00.")
@click.option("--until", metavar="TIME", help="Before then.")
@click.option("--window", type=click.Choice(WINDOWS), help="A row for each hour, day, week (from Monday) or month.")
@click.option("--zone", default="UTC", show_default=True, help="Where days begin, and what times without a zone mean.")
@click.option("--tenant", help="Only this tenant's; the same for those below.")
@click.option("--project")
@click.option("--key")
@click.option("--end-user")
@click.option("--model")
@click.option("--trace", metavar="ID", help="The trace id in the callers' `traceparent`.")
@click.option(
    "--format", "form", type=click.Choice(["table", "csv", "json", "parquet"]), default="table", show_default=True
)
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="Write there; parquet must have it.")
@click.option("--limit", type=click.IntRange(min=1), help="So many rows of a table; its total is of all.")
@places.options
def usage(
    by: tuple[str, ...],
    since: str | None,
    until: str | None,
    window: str | None,
    zone: str,
    form: str,
    output: Path | None,
    limit: int | None,
    state_dir: Path | None,
    config: Path | None,
    **only: str | None,
) -> None:
    """Sums requests, tokens and money of a gateway, running or not: what its ledger holds, and what its journals hold
    that is not there yet.

    Every request counts in the window in which it began. Money is exact to a billionth of a dollar: what a table
    rounds, the other formats do not.
    """
    from gateway.store import usage as ledger
    from gateway.store.manifest import LedgerUnreadable

    named = next((name for name in by if name in WINDOWS), None)
    if window is not None and named not in (None, window):
        raise click.UsageError(f"--by {named} and --window {window}: only one window at a time")
    question = Question(
        tuple(name for name in by if name != named),
        window or named or "",
        zone,
        *_times(zone, since, until),
        only=tuple((name, value) for name in _FILTERS if (value := only[name]) is not None),
    )
    if form == "parquet" and output is None:
        raise click.UsageError("--format parquet needs --output FILE")
    where = places.state_dir_of(state_dir, config)
    try:
        if form == "parquet":
            assert output is not None
            click.echo(f"{ledger.write_parquet(where, question, output)} rows in {output}", err=True)
            return
        answer = ledger.ask(where, question)
    except ImportError as error:
        raise click.ClickException(
            f"usage is read with DuckDB, which cannot be loaded here ({error}): pip install duckdb"
        ) from error
    except (LedgerUnreadable, OSError) as error:
        raise click.ClickException(str(error)) from error
    lines = {"csv": _csv, "json": _json}[form](answer) if form != "table" else _table(answer, question, where, limit)
    if output is None:
        for line in lines:
            click.echo(line)
    else:
        output.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _times(zone: str, since: str | None, until: str | None) -> tuple[int | None, int | None]:
    from gateway.cli.usage_times import moment_ns

    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise click.BadParameter(f"{zone!r} is no time zone: Europe/Berlin, UTC, …", param_hint="--zone") from None
    now_ns = time.time_ns()
    moments = []
    for name, text in (("--since", since), ("--until", until)):
        try:
            moments.append(None if text is None else moment_ns(text, place, now_ns))
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=name) from None
    return moments[0], moments[1]


def _csv(answer: Answer) -> Iterator[str]:
    lines: list[str] = []

    class _Sink:
        def write(self, line: str) -> None:
            lines.append(line)

    writer = csv.writer(_Sink(), lineterminator="")
    for row in (answer.columns, *answer.rows):
        writer.writerow(map(_exact, row))
        yield lines.pop()


def _json(answer: Answer) -> Iterator[str]:
    import msgspec

    for row in answer.rows:
        yield msgspec.json.encode(dict(zip(answer.columns, map(_exact, row), strict=True))).decode()


def _exact(value: Value) -> str | int:
    """Dollars with all nine digits, never as 1E-9."""
    return f"{value:f}" if isinstance(value, Decimal) else value


def _table(answer: Answer, question: Question, where: Path, limit: int | None) -> Iterator[str]:
    from gateway.cli.usage_table import table

    if not answer.rows or (len(answer.rows) == 1 and not question.by and not answer.rows[0][-10]):
        yield f"No requests{_period(question)} in {where}."
        return
    yield f"Usage{_period(question)}, from {where}"
    yield ""
    yield from table(answer.columns, answer.rows, limit)
    if not any(row[answer.columns.index("cost_usd")] for row in answer.rows):
        yield ""
        yield "No costs: no model that answered has a price (models.NAME.price)."


def _period(question: Question) -> str:
    from datetime import datetime

    zone = ZoneInfo(question.zone)
    words = [
        f"{word} {datetime.fromtimestamp(time_ns // 10**9, zone):%Y-%m-%d %H:%M}"
        for word, time_ns in (("since", question.since_ns), ("until", question.until_ns))
        if time_ns is not None
    ]
    if not words:
        return f" since the beginning ({question.zone})" if question.window else " since the beginning"
    return f" {' '.join(words)} ({question.zone})"

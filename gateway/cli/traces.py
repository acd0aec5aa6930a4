"""`lockgate traces`: runs of agents, as trees of what they did and what the gateway did for them. On this machine the
state directory is read, whether a gateway runs or not; with --url a control listener is asked."""

from __future__ import annotations

import json
import re

import click

from gateway.cli import admin_client, admin_options, admin_table, stored, traces_tree
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Item


def _trace(_context: click.Context, _option: click.Parameter, given: str) -> str:
    found = given.strip().lower()
    if re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", found):  # a traceparent
        return found[3:35]
    if not re.fullmatch(r"[0-9a-f]{32}", found):
        raise click.BadParameter("32 hexadecimal digits, as `lockgate traces list` shows them")
    return found


@click.group(cls=admin_options.Group, short_help="List runs of agents, or draw one as a tree.")
def traces() -> None:
    """List runs of agents, or draw one as a tree: never what was said."""


@traces.command(name="list", short_help="List traces, the newest first.")
@click.option(
    "--since",
    metavar="TIME",
    callback=stored.moment,
    default="1d",
    show_default=True,
    help="That began from then on: 7d, 12h, 2026-11-01 (UTC).",
)
@click.option("--until", metavar="TIME", callback=stored.moment, help="Before then.")
@click.option("--tenant", metavar="NAME", default="", help="Only this tenant's.")
@click.option(
    "--limit", type=click.IntRange(1, 1_000), metavar="N", default=20, show_default=True, help="At most so many."
)
@admin_options.output
@admin_client.options
def list_(client: Client, since: int, until: int | None, tenant: str, limit: int, form: str) -> None:
    """Lists traces, the newest first: those that agents sent spans of, and requests of which no agent told. Spans are
    the agent's and, behind the +, its requests to this gateway; bad are those of both that failed."""
    found, more = _items(client, since, until, tenant, limit)
    if form == "json":
        for item in found:
            click.echo(json.dumps(item))
        return
    for shown in traces_tree.listed(found):
        click.echo(shown)
    click.echo(admin_table.closing(found, "trace", client.where, more=more))


@traces.command(short_help="Draw one trace as a tree.")
@click.argument("trace", metavar="ID", callback=_trace)
@click.option("--tenant", metavar="NAME", default="", help="Whose, where several tenants use one id.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    metavar="N",
    default=traces_tree.MOST_LINES,
    show_default=True,
    help="Draw so many spans at most.",
)
@admin_options.output
@admin_client.options
def show(client: Client, trace: str, tenant: str, limit: int, form: str) -> None:
    """Draws a trace: the spans that the agent sent, and below them (▸) each request to this gateway with its attempts.
    Tokens are input→output; the cost of a request is what its tenant pays. ID may also be a `traceparent`."""
    found = _found(client, trace, tenant)
    if form == "json":
        click.echo(json.dumps(found))
        return
    for line in traces_tree.whole(found, limit):
        click.echo(line)
    click.echo("▸ is the gateway's: `lockgate explain ID` tells of a request, whose id --format json shows")
    click.echo(f"from {client.where}")


def _items(client: Client, since: int, until: int | None, tenant: str, limit: int) -> tuple[list[Item], bool]:
    """The newest `limit`, and whether there are more."""
    if client.local is None:
        return client.pages(
            "traces", limit=limit, since=stored.written(since), until=stored.written(until), tenant=tenant or None
        )
    from gateway.store import trace_read, trace_tree

    asked = trace_read.Asked(since, until, tenant, limit=limit + 1)
    with stored.reading("traces"):
        lines = trace_read.newest(client.local.state_dir, asked)
    return [trace_tree.listed(line) for line in lines[:limit]], len(lines) > limit


def _found(client: Client, trace: str, tenant: str) -> Item:
    if client.local is None:
        found: Item = client.get("traces", trace, tenant=tenant or None)
        return found
    import msgspec

    from gateway.store import trace_read, trace_tree

    with stored.reading("traces"):
        traces = trace_read.read(client.local.state_dir, trace, trace_read.Asked(tenant=tenant))
    if not traces:
        raise click.ClickException(
            f"there is no trace {trace} in {client.where}: it never was, was dropped with its day, or has not come yet"
        )
    if len(traces) > 1:
        names = ", ".join(each.tenant for each in traces)
        raise click.ClickException(f"several tenants have a trace of this id: say which with --tenant ({names})")
    built: Item = msgspec.to_builtins(trace_tree.tree(traces[0]))
    return built

"""`lockgate records`: what became of requests. On this machine the state directory is read, whether a gateway runs or
not; with --url a control listener is asked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import admin_client, admin_options, admin_table, content_words, record_filters, records_table, stored
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Item

if TYPE_CHECKING:
    from gateway.store.content import Content, Locked
    from gateway.store.records import Record


@click.group(cls=admin_options.Group, short_help="List, show or export what became of requests.")
def records() -> None:
    """List, show or export what became of requests: never what was said."""


@records.command(name="list", short_help="List requests, the newest first.")
@record_filters.filters
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", default=20, show_default=True, help="At most so many."
)
@admin_options.output
@admin_client.options
def list_(client: Client, limit: int, form: str, **filters: Any) -> None:
    """Lists requests, the newest first: who asked for what, how it ended, how long it took and what it cost."""
    found = list(_items(client, filters, limit + 1))
    more, found = len(found) > limit, found[:limit]
    if form == "json":
        for item in found:
            click.echo(json.dumps(item))
        return
    for line in records_table.listed(found):
        click.echo(line)
    click.echo(admin_table.closing(found, "request", client.where, more=more))


@records.command(short_help="Show one request.")
@click.argument("request_id", metavar="ID")
@click.option("--content", is_flag=True, help="What was said too, where its tenant's policy keeps it; on this machine.")
@admin_options.output
@admin_client.options
def show(client: Client, request_id: str, content: bool, form: str) -> None:
    """Shows what is on record of one request: each attempt, what meters and checks did, tokens, times and cost."""
    if content and client.local is None:
        raise click.UsageError("what was said is shown on the gateway's machine only: leave out --url")
    if client.local is None:
        found = client.get("records", request_id)
    else:
        from gateway.store import record_read

        with stored.reading("records"):
            record = record_read.record(client.local.state_dir, request_id)
        if record is None:
            raise click.ClickException(
                f"there is no record of {request_id} in {client.where}: it never was, or was dropped with its day"
            )
        found = _named(record)
    said = _content(client.local.state_dir, request_id) if content and client.local is not None else None
    if form == "json":
        click.echo(json.dumps(found if said is None else found | {"content": content_words.plain(said)}))
        return
    for line in records_table.whole(found):
        click.echo(line)
    if said is not None:
        for line in content_words.lines(said):
            click.echo(line)
    click.echo(f"\nfrom {client.where}")


@records.command(short_help="Write requests to a file, for other programs.")
@record_filters.filters
@click.option("--format", "form", type=click.Choice(["csv", "json", "parquet"]), default="csv", show_default=True)
@click.option("--output", metavar="FILE", type=click.Path(path_type=Path), help="Write there; parquet must have it.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many, the newest.")
@admin_client.options
def export(client: Client, form: str, output: Path | None, limit: int | None, **filters: Any) -> None:
    """Writes every column of requests, the newest first: as CSV (lists as JSON), JSON lines or Parquet."""
    from gateway.cli import records_export

    if form == "parquet" and output is None:
        raise click.UsageError("--format parquet needs --output FILE")
    count = records_export.write(_items(client, filters, limit or record_filters.ALL), form, output)
    click.echo(f"{count:,} {'request' if count == 1 else 'requests'} from {client.where}", err=True)


@records.command(short_help="Erase what was said, for good.")
@click.option("--tenant", metavar="NAME", required=True, help="What this tenant's callers have said.")
@click.option("--end-user", metavar="ID", help="Only what this one has: `user` of the bodies.")
@admin_options.sure
@admin_options.output
@admin_client.changing
def erase(client: Client, tenant: str, end_user: str | None, yes: bool, form: str, reason: str | None) -> None:
    """Erases what was said up to now, by destroying the keys it is encrypted with. The records stay: that there were
    requests, and what they cost.
    """
    whose = tenant if end_user is None else f"the end user {end_user} of {tenant}"
    admin_options.confirmed(f"Erase, for good, all that is kept of what {whose} said?", yes=yes)
    body = {} if end_user is None else {"end_user": end_user}
    done = client.call("POST", ("tenants", tenant, "erasures"), body=body, reason=reason)
    if form == "json":
        click.echo(json.dumps(done))
        return
    keys = f"{done['keys']:,} {'key was' if done['keys'] == 1 else 'keys were'} destroyed"
    click.echo(
        f"Erased what {whose} said until {done['erased_at'][:19].replace('T', ' ')} UTC in {client.where}: {keys}"
    )
    if not done["keys"]:
        click.echo("There was no key of theirs: nothing was kept, or only just, or the name is another.")


def _items(client: Client, filters: dict[str, Any], limit: int) -> Iterator[Item]:
    """The newest `limit` that are asked for."""
    if client.local is not None:
        from gateway.store import record_read

        with stored.reading("records"):
            yield from map(_named, record_read.records(client.local.state_dir, record_filters.query(filters, limit)))
        return
    named = {name: value for name, value in filters.items() if name not in ("min_cost", "min_ms", "since", "until")}
    asked = {
        **{name: value for name, value in named.items() if value not in (None, "")},
        "min_cost_usd": filters["min_cost"],
        "min_total_ms": filters["min_ms"],
        "since": stored.written(filters["since"]),
        "until": stored.written(filters["until"]),
    }
    after: object = None
    while limit > 0:
        page = client.get("records", limit=min(1_000, limit), after=after, **asked)
        yield from page["items"]
        limit -= len(page["items"])
        after = page["next"]
        if after is None:
            return


def _content(state_dir: Path, request_id: str) -> Content | Locked:
    """What is kept of what was said in a request."""
    with stored.reading("records"):
        from gateway.store import content_read

        found = content_read.contents(state_dir, [request_id], os.environ)
    if request_id not in found:
        raise click.ClickException(f"what was said in {request_id} is not kept: never, not any more, or it was erased")
    return found[request_id]


def _named(record: Record) -> Item:
    from gateway.store import record_view

    return record_view.named(record)

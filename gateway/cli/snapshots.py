"""`lockgate snapshots`: the configurations that were in force, and what differs between two."""

from __future__ import annotations

import json
from typing import Any

import click

from gateway.cli import admin_client, admin_options, admin_table
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column

_DIGITS = 16
"""So much of a digest is shown in lists; commands take it for the whole where it is the only one that begins so."""

COLUMNS = (
    Column("snapshot", lambda item: str(item["digest"])[:_DIGITS]),
    Column("first in force (UTC)", admin_table.moment("at")),
    Column("a change of", lambda item: str(item["base"] or admin_table.NOTHING)[:_DIGITS]),
)
_MARKS = {"added": "+", "removed": "-", "changed": "~"}


@click.group(cls=admin_options.Group, short_help="Show the configurations that were in force, and what differs.")
def snapshots() -> None:
    """Show the configurations that were in force, and what differs between two."""


@snapshots.command(name="list", short_help="List snapshots, the newest first.")
@admin_options.listing
@admin_client.options
def list_(client: Client, limit: int, form: str) -> None:
    """Lists the snapshots, the newest first."""
    items, more = client.pages("snapshots", limit=limit)
    admin_options.show_list(items, COLUMNS, form, "snapshot", client, more=more)


@snapshots.command(short_help="Say what a snapshot runs.")
@click.argument("digest", default="current")
@admin_options.output
@admin_client.options
def show(client: Client, digest: str, form: str) -> None:
    """Says what the snapshot DIGEST (or the beginning of it) runs; the one in force when left out."""
    found = client.get("snapshots", digest)
    if form == "json":
        click.echo(json.dumps(found))
        return
    click.echo(f"Snapshot {found['digest']} in {client.where}")
    for line in found["description"]:
        click.echo(line)


@snapshots.command(short_help="Say what differs between two snapshots.")
@click.argument("old")
@click.argument("new")
@admin_options.output
@admin_client.options
def diff(client: Client, old: str, new: str, form: str) -> None:
    """Says what differs from the snapshot OLD to NEW, entry by entry. Secrets are not shown."""
    found = client.get("snapshots", old, "diff", new)
    if form == "json":
        click.echo(json.dumps(found))
        return
    for item in found["items"]:
        click.echo(_line(item))
    count = len(found["items"])
    click.echo("… and more" if found["more"] else f"{count} difference{'' if count == 1 else 's'}")


def _line(item: dict[str, Any]) -> str:
    values = [json.dumps(item[name], ensure_ascii=False) for name in ("before", "after") if item[name] is not None]
    return f"{_MARKS[item['change']]} {item['path']}: {' → '.join(values)}"

"""`lockgate changes`: who changed what, from which value to which, when and why."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import click

from gateway.cli import admin_client, admin_options, admin_table, usage_times
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column, Item
from gateway.cli.terminal import visible


def _moment(_context: click.Context, _option: click.Parameter, given: str | None) -> str | None:
    """A time as the API takes it."""
    if given is None:
        return None
    try:
        moment_ns = usage_times.moment_ns(given, ZoneInfo("UTC"), time.time_ns())
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return datetime.fromtimestamp(moment_ns // 10**9, UTC).isoformat()


COLUMNS = (
    Column("no.", admin_table.text("seq")),
    Column("when (UTC)", admin_table.moment("at")),
    Column("did", admin_table.text("action")),
    Column("what", lambda item: f"{item['kind']} {item['tenant'] + '/' if item['tenant'] else ''}{item['name']}"),
    Column("who", lambda item: item["principal"] + (f" ({item['subject']})" if item["subject"] else ""), cut=True),
)
_KINDS = ("tenant", "project", "key", "principal", "endpoint", "erasure")
_WORDS = {"meters": admin_table.meters, "roles": admin_table.roles}
_INDENT = "       "


@click.group(cls=admin_options.Group, short_help="Show who changed what, and verify the log.")
def changes() -> None:
    """Show who changed what, and verify that nothing in the log was edited."""


@changes.command(name="list", short_help="List changes, the newest first.")
@click.option("--kind", type=click.Choice(_KINDS), help="Of entries of this kind only.")
@click.option("--tenant", metavar="NAME", help="Of this tenant, its projects and keys only.")
@click.option("--name", metavar="NAME", help="Of this entry only.")
@click.option("--principal", metavar="NAME", help="By this principal only.")
@click.option("--since", metavar="TIME", callback=_moment, help="Not before: 7d ago, a day, or a time (UTC).")
@click.option("--until", metavar="TIME", callback=_moment, help="Before: written likewise.")
@admin_options.listing
@admin_client.options
def list_(client: Client, limit: int, form: str, **filters: str | None) -> None:
    """Lists changes, the newest first: each with what it changed from which value to which, and why."""
    items, more = client.pages("changes", limit=limit, **filters)
    if form == "json" or not items:
        admin_options.show_list(items, COLUMNS, form, "change", client, more=more)
        return
    head, rule, *lines = admin_table.table(items, COLUMNS)
    for line in (head, rule):
        click.echo(line)
    for line, item in zip(lines, items, strict=True):
        click.echo(line)
        for told in _told(item):
            click.echo(
                textwrap.fill(visible(told), admin_table.MOST_CHARS, initial_indent=_INDENT, subsequent_indent=_INDENT)
            )
    click.echo(f"\n{admin_table.closing(items, 'change', client.where, more=more)}")


@changes.command(short_help="Say whether the log is whole.")
@click.option("--head", multiple=True, metavar="SEQ:HASH", help="A head that was noted elsewhere; repeat for more.")
@admin_options.output
@admin_client.options
def verify(client: Client, head: tuple[str, ...], form: str) -> None:
    """Reads the whole log and says whether anything in it was edited, removed, moved or cut off; exit code 1 when it
    was.

    Note the head it prints somewhere else: with it, later, an end that was cut off is found whatever else was changed.
    """
    found = client.get("changes", "verify", head=head)
    if form == "json":
        click.echo(json.dumps(found))
    elif found["whole"]:
        click.echo(f"The log is whole: {found['count']:,} changes in {client.where}\nhead {found['head']}")
    else:
        click.echo(f"THE LOG IS NOT WHOLE, at change {found['seq']}: {found['problem']} ({client.where})")
    if not found["whole"]:
        raise SystemExit(1)


def _told(item: Item) -> Iterator[str]:
    """What stands under the line of a change."""
    yield from _difference(item["before"] or {}, item["after"] or {})
    if item["reason"]:
        yield f"why: {item['reason']}"


def _difference(before: Item, after: Item) -> Iterator[str]:
    """`expires: – → 2027-06-30`; what a new entry has; nothing of one that was removed."""
    for name in dict.fromkeys((*before, *after)) if after else ():
        old, new = before.get(name), after.get(name)
        if old == new or (not before and (name == "hash" or new in ([], ""))):
            continue
        if name == "hash":
            yield "another secret"
        elif name == "previous":
            yield f"the old secret until {new['expires']}" if new else "the old secret no longer"
        else:
            yield f"{name}: {_value(name, old)} → {_value(name, new)}" if before else f"{name}: {_value(name, new)}"


def _value(name: str, value: Any) -> str:
    if value in (None, [], ""):
        return admin_table.NOTHING
    if name in _WORDS:
        return _WORDS[name]({name: value})
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""`lockgate changes`: who changed what, from which value to which, when and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from gateway.cli import admin_client, admin_options, admin_table
from gateway.cli.admin_client import Client

COLUMNS = (
    ("no.", admin_table.text("seq")),
    ("when (UTC)", admin_table.moment("at")),
    ("who", admin_table.text("principal")),
    ("did", admin_table.text("action")),
    ("what", lambda item: f"{item['kind']} {item['tenant'] + '/' if item['tenant'] else ''}{item['name']}"),
    ("from → to", lambda item: "; ".join(_difference(item)) or admin_table.NOTHING),
    ("why", admin_table.text("reason")),
)
_MOST_CHARS = 60


@click.group(short_help="Show who changed what, and verify the log.")
def changes() -> None:
    """Show who changed what, and verify that nothing in the log was edited."""


@changes.command(name="list", short_help="List changes, the newest first.")
@click.option("--kind", metavar="KIND", help="Of tenants, projects, keys, principals or endpoints only (`key`, …).")
@click.option("--tenant", metavar="NAME", help="Of this tenant, its projects and keys only.")
@click.option("--name", metavar="NAME", help="Of this entry only.")
@click.option("--principal", metavar="NAME", help="By this principal only.")
@click.option("--since", metavar="TIME", help="Not before this day, or time with its zone.")
@click.option("--until", metavar="TIME", help="Before this time.")
@admin_options.listing
@admin_client.options
def list_(client: Client, limit: int, form: str, **filters: str | None) -> None:
    """Lists changes, the newest first."""
    items, more = client.pages("changes", limit=limit, **filters)
    admin_options.show_list(items, COLUMNS, form, "change", client, more=more)


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


def _difference(item: dict[str, Any]) -> Iterator[str]:
    """`expires: – → 2027-06-30`, of an update."""
    before, after = item["before"] or {}, item["after"] or {}
    if item["action"] == "delete":
        return
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old == new or (name == "hash" and not before):
            continue
        if name == "hash":
            yield "another secret"
        elif name == "previous":
            yield f"the old one until {new['expires']}" if new else "the old one no longer"
        else:
            yield f"{name}: {_short(old)} → {_short(new)}" if before else f"{name}: {_short(new)}"


def _short(value: Any) -> str:
    if value is None:
        return admin_table.NOTHING
    if isinstance(value, list) and value and isinstance(value[0], dict) and "cap" in value[0]:
        return admin_table.meters({"meters": value})
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = ", ".join(value)
    told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return told if len(told) <= _MOST_CHARS else told[: _MOST_CHARS - 1] + "…"

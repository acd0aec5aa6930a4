"""`lockgate backends`: what serves the models, and the drain of an endpoint."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli import admin_client, admin_options, admin_table
from gateway.cli.admin_client import Client


def _takes(item: dict[str, Any]) -> str:
    if item["drained"]:
        return "no: drained"
    return "not now: its circuit is open" if item["breaker_open"] else "yes"


COLUMNS = (
    ("backend", admin_table.text("name")),
    ("kind", admin_table.text("kind")),
    ("endpoint", admin_table.text("url")),
    ("takes calls", _takes),
    ("running", lambda item: admin_table.NOTHING if item["outstanding"] is None else f"{item['outstanding']:g}"),
    ("in", admin_table.source),
)


@click.group(short_help="Show backends, and drain or resume an endpoint.")
def backends() -> None:
    """Show backends, and drain or resume an endpoint."""


@backends.command(name="list", short_help="List backends and their endpoints.")
@click.argument("prefix", default="")
@admin_options.listing
@admin_client.options
def list_(client: Client, prefix: str, limit: int, form: str) -> None:
    """Lists the backends whose name begins with PREFIX, a line for each endpoint."""
    items, more = client.pages("backends", limit=limit, prefix=prefix)
    none = [{"url": None, "drained": False, "outstanding": None, "breaker_open": None}]
    rows = items if form == "json" else [item | each for item in items for each in item["endpoints"] or none]
    admin_options.show_list(rows, COLUMNS, form, "endpoint", client, more=more)


@backends.command(short_help="Send no new call to an endpoint.")
@click.argument("backend")
@click.argument("endpoint")
@admin_client.changing
def drain(client: Client, backend: str, endpoint: str, reason: str | None) -> None:
    """Sends no new call to ENDPOINT (its URL) of BACKEND; those that run come to their end."""
    client.call("POST", ("backends", backend, "drain"), body={"endpoint": endpoint}, reason=reason)
    click.echo(f"{endpoint} of {backend} takes no new call, in {client.where}")


@backends.command(short_help="End the drain of an endpoint.")
@click.argument("backend")
@click.argument("endpoint")
@admin_client.changing
def resume(client: Client, backend: str, endpoint: str, reason: str | None) -> None:
    """Lets ENDPOINT (its URL) of BACKEND take calls again."""
    client.call("POST", ("backends", backend, "resume"), body={"endpoint": endpoint}, reason=reason)
    click.echo(f"{endpoint} of {backend} takes calls, in {client.where}")

"""`lockgate backends`: what serves the models, and the drain of an endpoint."""

from __future__ import annotations

import json
from typing import Any

import click

from gateway.cli import admin_client, admin_options, admin_table
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column


def _takes(item: dict[str, Any]) -> str:
    if item["drained"]:
        return "no: drained"
    return "not now: its circuit is open" if item["breaker_open"] else "yes"


COLUMNS = (
    Column("backend", admin_table.text("name")),
    Column("kind", admin_table.text("kind")),
    Column("endpoint", admin_table.text("url")),
    Column("takes calls", _takes, cut=True),
    Column("running", lambda item: admin_table.NOTHING if item["outstanding"] is None else f"{item['outstanding']:g}"),
    Column("in", admin_table.source),
)


@click.group(cls=admin_options.Group, short_help="Show backends, and drain or resume an endpoint.")
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
@admin_options.output
@admin_client.changing
def drain(client: Client, backend: str, endpoint: str, form: str, reason: str | None) -> None:
    """Sends no new call to ENDPOINT (its URL) of BACKEND; those that run come to their end."""
    _order(client, backend, endpoint, form, reason, verb="drain", told="takes no new call")


@backends.command(short_help="End the drain of an endpoint.")
@click.argument("backend")
@click.argument("endpoint")
@admin_options.output
@admin_client.changing
def resume(client: Client, backend: str, endpoint: str, form: str, reason: str | None) -> None:
    """Lets ENDPOINT (its URL) of BACKEND take calls again."""
    _order(client, backend, endpoint, form, reason, verb="resume", told="takes calls")


def _order(client: Client, backend: str, endpoint: str, form: str, reason: str | None, *, verb: str, told: str) -> None:
    done = client.call("POST", ("backends", backend, verb), body={"endpoint": endpoint}, reason=reason)
    click.echo(json.dumps(done) if form == "json" else f"{endpoint} of {backend} {told}, in {client.where}")

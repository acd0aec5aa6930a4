"""`lockgate tenants`: who may ask, for which models, within which limits."""

from __future__ import annotations

import click

from gateway.cli import admin_client, admin_options, admin_table, content_words
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column

COLUMNS = (
    Column("tenant", admin_table.text("name")),
    Column("models", admin_table.words("models", "none"), cut=True),
    Column("meters", admin_table.meters, cut=True),
    Column("chain", admin_table.text("chain")),
    Column("keeps", lambda item: content_words.said(item.get("content"))),
    Column("in", admin_table.source),
)
_FIELDS = (*COLUMNS, *admin_table.STORED)
_chained = admin_options.part(
    "--chain",
    "chain",
    lambda given: None if given == "none" else given,
    metavar="NAME",
    help="The chain of checks for what it asks, `none` for none.",
)

_kept = admin_options.part(
    "--content",
    "content",
    content_words.policy,
    metavar="POLICY",
    help="What is kept of what it says: masked, full or none; `masked 90` keeps it for 90 days.",
)


@click.group(cls=admin_options.Group, short_help="Show, make, change and remove tenants.")
def tenants() -> None:
    """Show, make, change and remove tenants. What stands in the configuration's files is changed there.

    \b
      lockgate tenants create acme --meter '$50 month'
    """


@tenants.command(name="list", short_help="List tenants.")
@click.argument("prefix", default="")
@admin_options.listing
@admin_client.options
def list_(client: Client, prefix: str, limit: int, form: str) -> None:
    """Lists the tenants whose name begins with PREFIX."""
    items, more = client.pages("tenants", limit=limit, prefix=prefix)
    admin_options.show_list(items, COLUMNS, form, "tenant", client, more=more)


@tenants.command(short_help="Show a tenant.")
@click.argument("tenant")
@admin_options.output
@admin_client.options
def show(client: Client, tenant: str, form: str) -> None:
    """Shows TENANT."""
    admin_options.show_one(client.get("tenants", tenant), _FIELDS, form, f"Tenant {tenant} in {client.where}")


@tenants.command(short_help="Make a tenant.")
@click.argument("tenant")
@admin_options.listed("--model", "models", "PATTERN", "A model it may use", default=("*",), show_default=True)
@admin_options.metered
@_chained
@_kept
@admin_options.output
@admin_client.changing
def create(client: Client, tenant: str, form: str, reason: str | None) -> None:
    """Makes TENANT. It may use every model unless `--model` names some."""
    made = client.call("POST", ("tenants",), body=admin_options.said(name=tenant), reason=reason)
    admin_options.show_one(made, COLUMNS, form, f"Made the tenant {tenant} in {client.where}")


@tenants.command(short_help="Change a tenant's models, meters, chain or content.")
@click.argument("tenant")
@admin_options.listed("--model", "models", "PATTERN", "A model it may use")
@admin_options.metered
@_chained
@_kept
@admin_options.versioned
@admin_options.output
@admin_client.changing
def change(client: Client, tenant: str, version: int | None, form: str, reason: str | None) -> None:
    """Changes what is named of TENANT; models and meters that are named take the place of all it had."""
    body = admin_options.changed()
    changed = client.call("PATCH", ("tenants", tenant), body=body, reason=reason, version=version)
    admin_options.show_one(changed, _FIELDS, form, f"Changed the tenant {tenant} in {client.where}")


@tenants.command(short_help="Remove a tenant.")
@click.argument("tenant")
@click.option("--all-below", is_flag=True, help="Its projects and keys too; the keys are revoked for good.")
@admin_options.sure
@admin_options.output
@admin_client.changing
def remove(client: Client, tenant: str, all_below: bool, yes: bool, form: str, reason: str | None) -> None:
    """Removes TENANT."""
    below = " with all its projects and keys, which are revoked for good" if all_below else ""
    question = f"Remove the tenant {tenant}{below}?"
    path = ("tenants", tenant)
    found = admin_options.remove(client, path, question, yes=yes, reason=reason, all_below=all_below)
    admin_options.show_one(found, COLUMNS, form, f"Removed the tenant {tenant} from {client.where}")

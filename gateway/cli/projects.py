"""`lockgate projects`: parts of a tenant's work that are metered and told apart."""

from __future__ import annotations

import click

from gateway.cli import admin_client, admin_options, admin_table
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column

COLUMNS = (
    Column("project", admin_table.text("name")),
    Column("meters", admin_table.meters, cut=True),
    Column("in", admin_table.source),
)
_FIELDS = (*COLUMNS, *admin_table.STORED)


@click.group(cls=admin_options.Group, short_help="Show, make, change and remove a tenant's projects.")
def projects() -> None:
    """Show, make, change and remove a tenant's projects.

    \b
      lockgate projects create acme search --meter '$20 month'
    """


@projects.command(name="list", short_help="List a tenant's projects.")
@click.argument("tenant")
@click.argument("prefix", default="")
@admin_options.listing
@admin_client.options
def list_(client: Client, tenant: str, prefix: str, limit: int, form: str) -> None:
    """Lists the projects of TENANT whose name begins with PREFIX."""
    items, more = client.pages("tenants", tenant, "projects", limit=limit, prefix=prefix)
    admin_options.show_list(items, COLUMNS, form, "project", client, more=more)


@projects.command(short_help="Show a project.")
@click.argument("tenant")
@click.argument("project")
@admin_options.output
@admin_client.options
def show(client: Client, tenant: str, project: str, form: str) -> None:
    """Shows PROJECT of TENANT."""
    found = client.get("tenants", tenant, "projects", project)
    admin_options.show_one(found, _FIELDS, form, f"Project {project} of {tenant} in {client.where}")


@projects.command(short_help="Make a project.")
@click.argument("tenant")
@click.argument("project")
@admin_options.metered
@admin_options.output
@admin_client.changing
def create(client: Client, tenant: str, project: str, form: str, reason: str | None) -> None:
    """Makes PROJECT of TENANT; keys say which projects they may work for."""
    made = client.call("POST", ("tenants", tenant, "projects"), body=admin_options.said(name=project), reason=reason)
    admin_options.show_one(made, COLUMNS, form, f"Made the project {project} of {tenant} in {client.where}")


@projects.command(short_help="Change a project's meters.")
@click.argument("tenant")
@click.argument("project")
@admin_options.metered
@admin_options.versioned
@admin_options.output
@admin_client.changing
def change(client: Client, tenant: str, project: str, version: int | None, form: str, reason: str | None) -> None:
    """Gives PROJECT of TENANT the meters named, in place of all it had."""
    path = ("tenants", tenant, "projects", project)
    changed = client.call("PATCH", path, body=admin_options.changed(), reason=reason, version=version)
    admin_options.show_one(changed, _FIELDS, form, f"Changed the project {project} of {tenant} in {client.where}")


@projects.command(short_help="Remove a project.")
@click.argument("tenant")
@click.argument("project")
@admin_options.sure
@admin_options.output
@admin_client.changing
def remove(client: Client, tenant: str, project: str, yes: bool, form: str, reason: str | None) -> None:
    """Removes PROJECT of TENANT, which no key may name any more."""
    path = ("tenants", tenant, "projects", project)
    question = f"Remove the project {project} of {tenant}?"
    found = admin_options.remove(client, path, question, yes=yes, reason=reason)
    admin_options.show_one(found, COLUMNS, form, f"Removed the project {project} of {tenant} from {client.where}")

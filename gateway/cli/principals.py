"""`lockgate principals`: who may administer, with which roles."""

from __future__ import annotations

from typing import Any

import click

from gateway.cli import admin_client, admin_options, admin_table
from gateway.cli.admin_client import Client

COLUMNS = (
    ("principal", admin_table.text("name")),
    ("roles", admin_table.roles),
    ("is", admin_table.text("subject")),
    ("token valid", admin_table.state),
    ("version", admin_table.text("version")),
)
ROLE_HELP = "owner, admin, operator or viewer; admin:TENANT or viewer:TENANT for one tenant; repeat for more."


@click.group(short_help="Show, make, change and remove who may administer.")
def principals() -> None:
    """Show, make, change and remove who may administer.

    owner: principals, and all that follows. admin: tenants, projects, keys, meters. operator: drain, resume, check.
    viewer: read.
    """


@principals.command(name="list", short_help="List principals.")
@click.argument("prefix", default="")
@admin_options.listing
@admin_client.options
def list_(client: Client, prefix: str, limit: int, form: str) -> None:
    """Lists the principals whose name begins with PREFIX. The configured admin token is none of them."""
    items, more = client.pages("principals", limit=limit, prefix=prefix)
    admin_options.show_list(items, COLUMNS, form, "principal", client, more=more)


@principals.command(short_help="Make a principal.")
@click.argument("principal")
@click.option("--role", multiple=True, required=True, metavar="ROLE", help=ROLE_HELP)
@click.option("--subject", default="", metavar="TEXT", help="The person or system it is.")
@click.option("--expires", metavar="DATE", help="The last day of its token, or a time with its zone.")
@admin_options.output
@admin_client.changing
def create(
    client: Client,
    principal: str,
    role: tuple[str, ...],
    subject: str,
    expires: str | None,
    form: str,
    reason: str | None,
) -> None:
    """Makes PRINCIPAL and shows its token, this once."""
    body: dict[str, Any] = {"name": principal, "roles": _grants(role), "subject": subject}
    if expires is not None:
        body["expires"] = expires
    made = client.call("POST", ("principals",), body=body, reason=reason)
    admin_options.show_one(made, COLUMNS, form, f"Made the principal {principal} in {client.where}")
    admin_options.show_secret(made, "token", form)


@principals.command(short_help="Change a principal's roles, subject or end.")
@click.argument("principal")
@click.option("--role", multiple=True, metavar="ROLE", help=f"In place of those it had: {ROLE_HELP}")
@click.option("--subject", metavar="TEXT", help="The person or system it is.")
@click.option("--expires", metavar="DATE", help="The last day of its token, a time with its zone, or `never`.")
@admin_options.versioned
@admin_options.output
@admin_client.changing
def change(
    client: Client,
    principal: str,
    role: tuple[str, ...],
    subject: str | None,
    expires: str | None,
    version: int | None,
    form: str,
    reason: str | None,
) -> None:
    """Changes what is named of PRINCIPAL. The last owner stays one."""
    body: dict[str, Any] = {"roles": _grants(role)} if role else {}
    if subject is not None:
        body["subject"] = subject
    if expires is not None:
        body["expires"] = None if expires == "never" else expires
    if not body:
        raise click.UsageError("say what to change: --role, --subject or --expires")
    changed = client.call("PATCH", ("principals", principal), body=body, reason=reason, version=version)
    admin_options.show_one(changed, COLUMNS, form, f"Changed the principal {principal} in {client.where}")


@principals.command(short_help="Give a principal another token.")
@click.argument("principal")
@admin_options.sure
@admin_options.output
@admin_client.changing
def rotate(client: Client, principal: str, yes: bool, form: str, reason: str | None) -> None:
    """Gives PRINCIPAL another token and shows it, this once; the old one ends at once."""
    admin_options.confirmed(f"End the token of {principal} at once?", yes=yes)
    made = client.call("POST", ("principals", principal, "rotate"), reason=reason)
    admin_options.show_one(made, COLUMNS, form, f"Rotated the token of {principal} in {client.where}")
    admin_options.show_secret(made, "token", form)


@principals.command(short_help="Remove a principal, for good.")
@click.argument("principal")
@admin_options.sure
@admin_options.output
@admin_client.changing
def remove(client: Client, principal: str, yes: bool, form: str, reason: str | None) -> None:
    """Removes PRINCIPAL: its token ends, and no other can have its name. The last owner stays."""
    question = f"Remove the principal {principal} for good?"
    found = admin_options.remove(client, ("principals", principal), question, yes=yes, reason=reason)
    admin_options.show_one(found, COLUMNS, form, f"Removed the principal {principal} from {client.where}")


def _grants(written: tuple[str, ...]) -> list[dict[str, str | None]]:
    parts = [word.partition(":") for word in written]
    return [{"role": role, "tenant": tenant or None} for role, _, tenant in parts]

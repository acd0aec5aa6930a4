"""`lockgate principals`: who may administer, with which roles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from gateway.cli import admin_client, admin_options, admin_table
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column

_F = TypeVar("_F", bound=Callable[..., Any])
COLUMNS = (
    Column("principal", admin_table.text("name")),
    Column("roles", admin_table.roles, cut=True),
    Column("subject", admin_table.text("subject"), cut=True),
    Column("token", admin_table.state),
    Column("version", admin_table.text("version")),
)
_FIELDS = (*COLUMNS, *admin_table.STORED)
_ROLES = ("owner", "admin", "operator", "viewer")


@click.group(cls=admin_options.Group, short_help="Show, make, change and remove who may administer.")
def principals() -> None:
    """Show, make, change and remove who may administer.

    \b
      owner     principals, and all that follows
      admin     tenants, projects, keys, meters
      operator  drain, resume, check
      viewer    read

    \b
      lockgate principals create anna --role admin:acme --subject anna@example.com
    """


def _described(command: _F) -> _F:
    """Adds what a principal can be given."""
    for add in (
        admin_options.expiring,
        admin_options.part("--subject", "subject", metavar="TEXT", help="The person or system it is."),
        admin_options.part(
            "--role",
            "roles",
            _grants,
            multiple=True,
            metavar="ROLE",
            help=f"{', '.join(_ROLES)}; admin:TENANT or viewer:TENANT for one tenant; repeat for more.",
        ),
    ):
        command = add(command)
    return command


def _grants(given: tuple[str, ...]) -> list[dict[str, str | None]]:
    parts = [word.partition(":") for word in given]
    for role, _, _ in parts:
        if role not in _ROLES:
            raise ValueError(f"there is no role {role!r}: {', '.join(_ROLES)}")
    return [{"role": role, "tenant": tenant or None} for role, _, tenant in parts]


@principals.command(name="list", short_help="List principals.")
@click.argument("prefix", default="")
@admin_options.listing
@admin_client.options
def list_(client: Client, prefix: str, limit: int, form: str) -> None:
    """Lists the principals whose name begins with PREFIX. The configured admin token is none of them."""
    items, more = client.pages("principals", limit=limit, prefix=prefix)
    admin_options.show_list(items, COLUMNS, form, "principal", client, more=more)


@principals.command(short_help="Show a principal.")
@click.argument("principal")
@admin_options.output
@admin_client.options
def show(client: Client, principal: str, form: str) -> None:
    """Shows PRINCIPAL, without its token, which nobody has."""
    found = client.get("principals", principal)
    admin_options.show_one(found, _FIELDS, form, f"Principal {principal} in {client.where}")


@principals.command(short_help="Make a principal.")
@click.argument("principal")
@_described
@admin_options.output
@admin_client.changing
def create(client: Client, principal: str, form: str, reason: str | None) -> None:
    """Makes PRINCIPAL with at least one role and shows its token, this once."""
    body = admin_options.said(name=principal)
    if "roles" not in body:
        raise click.UsageError("say what it may do: --role")
    made = client.call("POST", ("principals",), body=body, reason=reason)
    admin_options.show_one(made, COLUMNS, form, f"Made the principal {principal} in {client.where}")
    admin_options.show_secret(made, "token", form)


@principals.command(short_help="Change a principal's roles, subject or end.")
@click.argument("principal")
@_described
@admin_options.versioned
@admin_options.output
@admin_client.changing
def change(client: Client, principal: str, version: int | None, form: str, reason: str | None) -> None:
    """Changes what is named of PRINCIPAL; roles that are named take the place of all it had. The last owner stays
    one."""
    body = admin_options.changed()
    changed = client.call("PATCH", ("principals", principal), body=body, reason=reason, version=version)
    admin_options.show_one(changed, _FIELDS, form, f"Changed the principal {principal} in {client.where}")


@principals.command(short_help="Give a principal another token.")
@click.argument("principal")
@admin_options.sure
@admin_options.output
@admin_client.changing
def rotate(client: Client, principal: str, yes: bool, form: str, reason: str | None) -> None:
    """Gives PRINCIPAL another token and shows it, this once; the old one ends at once."""
    admin_options.confirmed(f"Replace the token of {principal}? Who has the old one is refused at once.", yes=yes)
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

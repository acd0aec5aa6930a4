"""`lockgate keys`: what callers come with. A secret is shown once and kept nowhere; what is kept is its hash."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from gateway.cli import admin_client, admin_options, admin_table
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}", re.ASCII)
_F = TypeVar("_F", bound=Callable[..., Any])

COLUMNS = (
    Column("key", admin_table.text("name")),
    Column("valid", admin_table.state),
    Column("models", admin_table.words("models", "the tenant's"), cut=True),
    Column("projects", admin_table.words("projects"), cut=True),
    Column("meters", admin_table.meters, cut=True),
    Column("in", admin_table.source),
)
_FIELDS = (*COLUMNS, Column("old secret until", admin_table.moment("previous_expires")), *admin_table.STORED)


@click.group(cls=admin_options.Group, short_help="Make, show, change, rotate and revoke keys for callers.")
def keys() -> None:
    """Make, show, change, rotate and revoke keys for callers.

    `new` makes a key for the configuration's files and changes nothing; `create` and the others are about the running
    gateway's control store.

    \b
      lockgate keys create acme app --meter '$1 month' --expires 2027-06-30
    """


def _described(command: _F) -> _F:
    """Adds what a key can be given."""
    for add in (
        admin_options.metered,
        admin_options.listed("--project", "projects", "NAME", "A project that it may work for"),
        admin_options.listed("--model", "models", "PATTERN", "A model of the tenant's that it may use, '*' for all"),
        admin_options.expiring,
    ):
        command = add(command)
    return command


@keys.command(name="list", short_help="List a tenant's keys.")
@click.argument("tenant")
@click.argument("prefix", default="")
@click.option("--revoked", is_flag=True, help="Revoked ones as well.")
@admin_options.listing
@admin_client.options
def list_(client: Client, tenant: str, prefix: str, revoked: bool, limit: int, form: str) -> None:
    """Lists the keys of TENANT whose name begins with PREFIX."""
    items, more = client.pages("tenants", tenant, "keys", limit=limit, prefix=prefix, gone=revoked)
    admin_options.show_list(items, COLUMNS, form, "key", client, more=more)


@keys.command(short_help="Show a key.")
@click.argument("tenant")
@click.argument("key")
@admin_options.output
@admin_client.options
def show(client: Client, tenant: str, key: str, form: str) -> None:
    """Shows KEY of TENANT, without its secret, which nobody has."""
    found = client.get("tenants", tenant, "keys", key)
    admin_options.show_one(found, _FIELDS, form, f"Key {tenant}/{key} in {client.where}")


@keys.command(short_help="Make a key in the control store.")
@click.argument("tenant")
@click.argument("key")
@_described
@admin_options.output
@admin_client.changing
def create(client: Client, tenant: str, key: str, form: str, reason: str | None) -> None:
    """Makes KEY of TENANT and shows its secret, this once. It is valid everywhere within a second.

    It may use all of the tenant's models and has no end, unless something else is said.
    """
    made = client.call("POST", ("tenants", tenant, "keys"), body=admin_options.said(name=key), reason=reason)
    admin_options.show_one(made, COLUMNS, form, f"Made the key {tenant}/{key} in {client.where}")
    admin_options.show_secret(made, "secret", form)


@keys.command(short_help="Change a key's end, models, projects or meters.")
@click.argument("tenant")
@click.argument("key")
@_described
@admin_options.versioned
@admin_options.output
@admin_client.changing
def change(client: Client, tenant: str, key: str, version: int | None, form: str, reason: str | None) -> None:
    """Changes what is named of KEY of TENANT: models, projects and meters that are named take the place of all it
    had; what is not named stays."""
    path = ("tenants", tenant, "keys", key)
    changed = client.call("PATCH", path, body=admin_options.changed(), reason=reason, version=version)
    admin_options.show_one(changed, _FIELDS, form, f"Changed the key {tenant}/{key} in {client.where}")


@keys.command(short_help="Give a key another secret.")
@click.argument("tenant")
@click.argument("key")
@click.option(
    "--overlap-s",
    type=click.IntRange(min=0),
    default=3600,
    show_default=True,
    metavar="S",
    help="So many seconds the old secret goes on; 0: it ends at once.",
)
@admin_options.sure
@admin_options.output
@admin_client.changing
def rotate(client: Client, tenant: str, key: str, overlap_s: int, yes: bool, form: str, reason: str | None) -> None:
    """Gives KEY of TENANT another secret and shows it, this once. One that was replaced before and still went on ends
    now."""
    if not overlap_s:
        admin_options.confirmed(
            f"End the secret of {tenant}/{key} at once? Who has it is refused from then on.", yes=yes
        )
    path = ("tenants", tenant, "keys", key, "rotate")
    made = client.call("POST", path, body={"overlap_s": overlap_s}, reason=reason)
    admin_options.show_one(made, _FIELDS, form, f"Rotated the key {tenant}/{key} in {client.where}")
    admin_options.show_secret(made, "secret", form)


@keys.command(short_help="Revoke a key, for good.")
@click.argument("tenant")
@click.argument("key")
@admin_options.sure
@admin_options.output
@admin_client.changing
def revoke(client: Client, tenant: str, key: str, yes: bool, form: str, reason: str | None) -> None:
    """Revokes KEY of TENANT: within a second nobody is let in with it, and no other key can have its name."""
    question = f"Revoke the key {tenant}/{key} for good?"
    path = ("tenants", tenant, "keys", key)
    found = admin_options.remove(client, path, question, yes=yes, reason=reason)
    admin_options.show_one(found, COLUMNS, form, f"Revoked the key {tenant}/{key} in {client.where}")


@keys.command(short_help="Make a key for the files: its secret, shown once, and the line for the configuration.")
@click.option("--tenant", default="TENANT", metavar="NAME", help="The tenant it is for.")
@click.option("--key", "name", default="KEY", metavar="NAME", help="The key's name within the tenant.")
@click.option(
    "--expires", metavar="DATE", help="Its last day (2027-06-30, to its end in UTC), or a time with its zone."
)
def new(tenant: str, name: str, expires: str | None) -> None:
    """Make a key: shows its secret once, and the line for the configuration. Changes no file."""
    from gateway.config import units
    from gateway.control.issuing import new_key

    for option, given in (("--tenant", tenant), ("--key", name)):
        if not _NAME.fullmatch(given):
            raise click.BadParameter("letters, digits, '.', '_' and '-', at most 64", param_hint=option)
    if expires is not None:
        try:
            units.instant(expires)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--expires") from error
    made = new_key()
    entry = {"hash": made.hash} | ({} if expires is None else {"expires": expires})
    placeholders = [given for given in (tenant, name) if given in ("TENANT", "KEY")]
    click.echo("The secret, for the caller. It is shown this once and kept nowhere:\n")
    click.echo(f"  {made.secret}\n")
    replace = f" (replace {' and '.join(placeholders)})" if placeholders else ""
    click.echo(f"Its hash, for a YAML file of the configuration{replace}:\n")
    click.echo(f"tenants:\n  {tenant}:\n    keys:\n      {name}: {_flow(entry)}\n")
    click.echo("or, where there are thousands, as a line of keys.jsonl:\n")
    click.echo(f"{json.dumps({'tenant': tenant, 'key': name, **entry})}")


def _flow(entry: dict[str, str]) -> str:
    return "{" + ", ".join(f'{key}: "{value}"' for key, value in entry.items()) + "}"

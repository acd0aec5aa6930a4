"""`lockgate keys`: what callers come with. A secret is shown once and kept nowhere; what is kept is its hash."""

from __future__ import annotations

import json
import re
from typing import Any

import click

from gateway.cli import admin_client, admin_options, admin_table
from gateway.cli.admin_client import Client

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}", re.ASCII)


COLUMNS = (
    ("key", admin_table.text("name")),
    ("valid", admin_table.state),
    ("models", admin_table.words("models", "the tenant's")),
    ("projects", admin_table.words("projects")),
    ("meters", admin_table.meters),
    ("in", admin_table.source),
)
_FIELDS = (*COLUMNS, ("old secret valid until", admin_table.moment("previous_expires")))


@click.group(short_help="Make, show, change, rotate and revoke keys for callers.")
def keys() -> None:
    """Make, show, change, rotate and revoke keys for callers.

    `new` makes a key for the configuration's files and changes nothing; `create` and the others are about the running
    gateway's control store.
    """


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
@click.option("--expires", metavar="DATE", help="Its last day, or a time with its zone.")
@click.option("--model", multiple=True, metavar="PATTERN", help="One of the tenant's models; all when none is named.")
@click.option("--project", multiple=True, metavar="NAME", help="A project that it may work for.")
@admin_options.metered
@admin_options.output
@admin_client.changing
def create(
    client: Client,
    tenant: str,
    key: str,
    expires: str | None,
    model: tuple[str, ...],
    project: tuple[str, ...],
    meter: list[Any],
    form: str,
    reason: str | None,
) -> None:
    """Makes KEY of TENANT and shows its secret, this once. It is valid everywhere within a second."""
    body: dict[str, Any] = {"name": key, "models": list(model), "projects": list(project), "meters": meter}
    if expires is not None:
        body["expires"] = expires
    made = client.call("POST", ("tenants", tenant, "keys"), body=body, reason=reason)
    admin_options.show_one(made, COLUMNS, form, f"Made the key {tenant}/{key} in {client.where}")
    admin_options.show_secret(made, "secret", form)


@keys.command(short_help="Change a key's end, models, projects or meters.")
@click.argument("tenant")
@click.argument("key")
@click.option("--expires", metavar="DATE", help="Its last day, a time with its zone, or `never`.")
@click.option("--model", multiple=True, metavar="PATTERN", help="The models it may use, in place of those it had.")
@click.option("--project", multiple=True, metavar="NAME", help="The projects it may work for, in place of those.")
@admin_options.metered
@admin_options.versioned
@admin_options.output
@admin_client.changing
def change(
    client: Client,
    tenant: str,
    key: str,
    expires: str | None,
    model: tuple[str, ...],
    project: tuple[str, ...],
    meter: list[Any],
    version: int | None,
    form: str,
    reason: str | None,
) -> None:
    """Changes what is named of KEY of TENANT; what is not named stays."""
    given = {"models": list(model), "projects": list(project), "meters": meter}
    body: dict[str, Any] = {name: value for name, value in given.items() if value}
    if expires is not None:
        body["expires"] = None if expires == "never" else expires
    if not body:
        raise click.UsageError("say what to change: --expires, --model, --project or --meter")
    changed = client.call("PATCH", ("tenants", tenant, "keys", key), body=body, reason=reason, version=version)
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
        admin_options.confirmed(f"End the secret of {tenant}/{key} at once? Who has it is refused.", yes=yes)
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


def _flow(entry: dict[str, str]) -> str:
    return "{" + ", ".join(f'{key}: "{value}"' for key, value in entry.items()) + "}"

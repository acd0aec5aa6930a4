"""`lockgate keys`: secrets for callers. A secret is shown once and kept nowhere; the configuration holds its hash."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from dataclasses import dataclass

import click

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,63}", re.ASCII)


@dataclass(frozen=True, repr=False)
class NewKey:
    """A secret, and its hash as the configuration writes it."""

    secret: str
    hash: str


def new_key() -> NewKey:
    """A fresh secret: `lg-` and 43 URL-safe characters that hold 256 random bits. The hash covers all of it, `lg-`
    included."""
    secret = "lg-" + secrets.token_urlsafe(32)
    return NewKey(secret, "sha256:" + hashlib.sha256(secret.encode()).hexdigest())


@click.group(short_help="Make keys for callers.")
def keys() -> None:
    """Make keys for callers."""


@keys.command(short_help="Make a key: its secret, shown once, and the line for the configuration.")
@click.option("--tenant", default="TENANT", metavar="NAME", help="The tenant it is for.")
@click.option("--key", "name", default="KEY", metavar="NAME", help="The key's name within the tenant.")
@click.option(
    "--expires", metavar="DATE", help="Its last day (2027-06-30, to its end in UTC), or a time with its zone."
)
def new(tenant: str, name: str, expires: str | None) -> None:
    """Make a key: shows its secret once, and the line for the configuration. Changes no file."""
    from gateway.config import units

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

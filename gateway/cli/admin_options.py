"""Options and endings that the commands of administration share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from gateway.cli import admin_table, meter_words
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column, Item

_F = TypeVar("_F", bound=Callable[..., Any])


def output(command: _F) -> _F:
    """Adds `--format`; the function gets `form`."""
    return click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)(
        command
    )


def listing(command: _F) -> _F:
    """Adds `--limit` and `--format`."""
    return click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="So many.")(
        output(command)
    )


def sure(command: _F) -> _F:
    """Adds `--yes`."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def versioned(command: _F) -> _F:
    """Adds `--version`: nothing is changed when the entry has another by now."""
    return click.option(
        "--version", type=click.IntRange(min=1), metavar="N", help="Only if the entry is at this version."
    )(command)


def metered(command: _F) -> _F:
    """Adds `--meter`, as often as there are meters; the function gets `meter`."""

    def read(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> list[Item]:
        try:
            return [meter_words.meter(written) for written in given]
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return click.option(
        "--meter",
        multiple=True,
        callback=read,
        metavar="METER",
        help="A meter: '$50 month', '600 requests 60s per=key', '2M output_tokens day 80%=warn'; repeat for more.",
    )(command)


def confirmed(question: str, *, yes: bool) -> None:
    """Asks before what cannot be undone; ends the command when the answer is no."""
    if not yes:
        click.confirm(question, abort=True)


def show_list(
    items: Sequence[Item], columns: Sequence[Column], form: str, noun: str, client: Client, *, more: bool
) -> None:
    """Prints a list: as a table with a closing line, or as JSON lines."""
    if form == "json":
        for item in items:
            click.echo(json.dumps(item))
        return
    if items:
        for line in admin_table.table(items, columns):
            click.echo(line)
        click.echo()
    click.echo(admin_table.closing(items, noun, client.where, more=more))


def show_one(item: Item, columns: Sequence[Column], form: str, said: str) -> None:
    """Prints one thing under a line that says what was done or is shown; or as JSON."""
    if form == "json":
        click.echo(json.dumps(item))
        return
    click.echo(said)
    for line in admin_table.fields(item, columns):
        click.echo(line)


def show_secret(item: Item, name: str, form: str) -> None:
    """Prints a fresh secret, which nobody can show again."""
    if form == "table":
        click.echo(f"\n  {item[name]}\n\nThat is the {name}. It is shown this once and kept nowhere.")


def remove(
    client: Client, path: tuple[str, ...], question: str, *, yes: bool, reason: str | None, **query: object
) -> Item:
    """Takes an entry away after asking; what it was at the end. Somebody else's change meanwhile is a conflict."""
    found: Item = client.get(*path)
    if found.get("source") != "files":  # what is declared there is refused anyhow
        confirmed(question, yes=yes)
    gone: Item = client.call("DELETE", path, query, reason=reason, version=found["version"])
    return gone

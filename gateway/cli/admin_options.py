"""Options and endings that the commands of administration share.

What a thing can be given (`--meter`, `--expires`, …) is a `Part`: an option whose value goes into the body of the
request, in the same words wherever a thing is made or changed. A command reads what was named with `said`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from gateway.cli import admin_table, meter_words
from gateway.cli.admin_client import Client
from gateway.cli.admin_table import Column, Item

_F = TypeVar("_F", bound=Callable[..., Any])
_SAID = "lockgate.said"
_NONE = "none"


class Group(click.Group):
    """Lists its commands in the order in which one needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


class Part(click.Option):
    """An option that says a part of a body: the field of its name."""


def part(
    option: str, field: str, read: Callable[[Any], Any] = lambda given: given, **settings: Any
) -> Callable[[_F], _F]:
    """Adds a `Part`. `read` makes the field's value of what was given; its ValueError is the user's mistake."""

    def keep(context: click.Context, _option: click.Parameter, given: Any) -> None:
        if given not in (None, ()):
            try:
                context.meta.setdefault(_SAID, {})[field] = read(given)
            except ValueError as error:
                raise click.BadParameter(str(error)) from error

    return click.option(option, cls=Part, expose_value=False, callback=keep, **settings)


def said(**others: Any) -> Item:
    """The parts that were named, and others."""
    parts: Item = click.get_current_context().meta.get(_SAID, {})
    return others | parts


def changed() -> Item:
    """The parts that were named. A usage error when there are none."""
    if not (found := said()):
        options = [each.opts[0] for each in click.get_current_context().command.params if isinstance(each, Part)]
        raise click.UsageError(
            f"say what to change: {' or '.join((', '.join(options[:-1]), options[-1])).lstrip(' or')}"
        )
    return found


def metered(command: _F) -> _F:
    """Adds `--meter`, as often as there are meters."""
    return part(
        "--meter",
        "meters",
        _meters,
        multiple=True,
        metavar="METER",
        help="A meter: '$50 month', '600 requests 60s per=key', '2M output_tokens day 80%=warn'; repeat for more, "
        "`none` for none.",
    )(command)


def expiring(command: _F) -> _F:
    """Adds `--expires`."""
    return part(
        "--expires",
        "expires",
        lambda given: None if given == "never" else given,
        metavar="DATE",
        help="Its last day (2027-06-30, in UTC), a time with its zone, or `never`.",
    )(command)


def listed(option: str, field: str, metavar: str, help_text: str, **settings: Any) -> Callable[[_F], _F]:
    """Adds an option that is repeated for each of a list."""
    return part(option, field, list, multiple=True, metavar=metavar, help=f"{help_text}; repeat for more.", **settings)


def _meters(given: tuple[str, ...]) -> list[Item]:
    return [] if given == (_NONE,) else [meter_words.meter(written) for written in given]


def output(command: _F) -> _F:
    """Adds `--format`; the function gets `form`."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="For people, or for programs.",
    )(command)


def listing(command: _F) -> _F:
    """Adds `--limit` and `--format`."""
    return click.option(
        "--limit", type=click.IntRange(min=1), metavar="N", default=100, show_default=True, help="At most so many."
    )(output(command))


def sure(command: _F) -> _F:
    """Adds `--yes`."""
    return click.option("--yes", is_flag=True, help="Do not ask.")(command)


def versioned(command: _F) -> _F:
    """Adds `--version`: nothing is changed when the entry has another by now."""
    return click.option(
        "--version", type=click.IntRange(min=1), metavar="N", help="Only if the entry is at this version."
    )(command)


def confirmed(question: str, *, yes: bool) -> None:
    """Asks before what cannot be undone; ends the command when the answer is no, or when nobody answers."""
    if yes:
        return
    try:
        agreed = click.confirm(question)
    except click.Abort:  # the end of the input, which leaves the cursor behind the question
        click.echo()
        agreed = False
    if not agreed:
        raise click.ClickException("nothing was changed (--yes does it without asking)")


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


def show_one(item: Item, columns: Sequence[Column], form: str, told: str) -> None:
    """Prints one thing under a line that says what was done or is shown; or as JSON."""
    if form == "json":
        click.echo(json.dumps(item))
        return
    click.echo(told)
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

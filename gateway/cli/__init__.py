"""The `lockgate` command. It finds its commands through the entry points of the group `lockgate.commands` and imports
one only when it is used, so that starting stays fast and a distribution can add commands without touching this one.

    [project.entry-points."lockgate.commands"]
    check = "gateway.cli.check:check"        # a click command or group

The commands of this distribution are also listed here: reading the metadata of all installed distributions takes longer
than the rest of the start, and a source tree that is not installed has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

import click

from gateway.errors import ConfigError

GROUP = "lockgate.commands"
OWN: Mapping[str, str] = {
    name: f"gateway.cli.{name}:{name}"
    for name in (
        *(
            "backends",
            "changes",
            "check",
            "checks",
            "demo",
            "explain",
            "fake",
            "journal",
            "keys",
            "meters",
            "models",
            "prices",
        ),
        *("principals", "projects", "records", "replay", "serve", "simulate", "snapshots", "tenants"),
        *("traces", "trajectories", "usage"),
    )
} | {"import": "gateway.cli.import_config:import_config"}
"""The commands of this distribution; a test holds them equal to its entry points."""


class _Commands(click.Group):
    """A group whose commands are imported on use; a `ConfigError` in one of them is a message and exit code 1."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({**_entry_points(), **OWN})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = OWN.get(cmd_name) or _entry_points().get(cmd_name)
        return None if target is None else _imported(cmd_name, target)

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except ConfigError as error:
            raise click.ClickException(str(error)) from error


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=GROUP)}


def _imported(name: str, target: str) -> click.Command:
    module, _, attribute = target.partition(":")
    try:
        command = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        return _unavailable(name, f"cannot be loaded: {error}")
    return command if isinstance(command, click.Command) else _unavailable(name, f"{target} is not a command")


def _unavailable(name: str, reason: str) -> click.Command:
    """Stands in for a command that cannot be loaded, so that one of them does not take the others down."""

    def fail() -> None:
        raise click.ClickException(f"the command {name} {reason}")

    settings = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=fail, short_help=f"({reason})", context_settings=settings)


def _print_version(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version

    try:
        click.echo(f"lockgate {version('lockgate')}")
    except PackageNotFoundError:
        click.echo("lockgate from a source tree (not installed)")
    ctx.exit()


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version, help="The version."
)
def main() -> None:
    """Lockgate: an OpenAI-compatible gateway in front of self-hosted models."""

"""Which state directory a command is about: named, or that of a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])


def options(command: _F) -> _F:
    """Adds `--state-dir` and `--config`; the function gets `state_dir` and `config`, for `state_dir_of`."""
    command = click.option(
        "--config",
        metavar="DIR",
        envvar="LOCKGATE_CONFIG",
        type=click.Path(path_type=Path, file_okay=False),
        help="A folder of configuration: its state directory is meant.",
    )(command)
    return click.option(
        "--state-dir",
        metavar="D",
        type=click.Path(path_type=Path, file_okay=False),
        help="The gateway's state directory (that of the demo is state/demo).  [default: that of --config, else state]",
    )(command)


def state_dir_of(state_dir: Path | None, config: Path | None) -> Path:
    """The directory meant; a message and exit code 1 when no gateway has run on it."""
    if state_dir is None and config is not None:
        from gateway.config import load

        state_dir = Path(load.load(config).server.state_dir)
    found = state_dir or Path("state")
    if not (found / "journal").is_dir():
        raise click.ClickException(
            f"no gateway has run on the state directory {found}: name its own with --state-dir "
            "(that of the demo is state/demo), or its configuration with --config"
        )
    return found

"""Which chain a command is about, and which text; and who meets the needs of its checks here."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.errors import ConfigError

if TYPE_CHECKING:
    from guardrails.chain import Chain
    from guardrails.screen import Call

PHASES = ("input", "output", "tool_call", "tool_result")
_F = TypeVar("_F", bound=Callable[..., Any])


def options(command: _F) -> _F:
    """Adds `--chain`, `--phase` and `--config`; the function gets `chain`, `phase` and `directory`, for `chain_of`."""
    for add in (
        click.option("--chain", metavar="C", default="standard", show_default=True, help="The chain's name."),
        click.option(
            "--phase",
            type=click.Choice(PHASES),
            default="input",
            show_default=True,
            help="Where the text stands: what a caller says, what a model says, the arguments of a call, its result.",
        ),
        click.option(
            "--config",
            "directory",
            metavar="DIR",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            help="The folder of configuration that has the chain.  [default: the demo's]",
        ),
    ):
        command = add(command)
    return command


def chain_of(name: str, directory: Path | None) -> Chain:
    """The chain of that name. Raises ConfigError."""
    from gateway.cli.demo import source_folder
    from gateway.config import load, snapshot_chains
    from gateway.config.shape import nearest

    folder = directory or source_folder()
    chains = load.load(folder).chains
    if name not in chains:
        where = folder if directory else "the demo's configuration"
        raise ConfigError(f"there is no chain {name!r} in {where}; {nearest(name, list(chains))}")
    return snapshot_chains.made(name, chains[name])


def text_of(given: str) -> tuple[str, str]:
    """A text, and where it came from: of a file of that name, of standard input for `-`, or the word itself. Raises
    ConfigError."""
    if given != "-" and not os.path.isfile(given):  # a long text is no path, and pathlib raises for one
        return given, "the argument"
    source = "standard input" if given == "-" else f"the file {given}"
    try:
        data = sys.stdin.buffer.read() if given == "-" else Path(given).read_bytes()
        return data.decode(), source
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source} is not UTF-8 text (byte {error.start})") from error
    except OSError as error:
        raise ConfigError(f"{source} cannot be read: {error.strerror}") from error


class Here:
    """Meets needs in this process, as the check process does: by what comes with the package or is installed. What
    needs a network is not asked."""

    def __init__(self) -> None:
        self._judges: dict[tuple[str, str], Callable[[str], object]] = {}
        self.taken_ns: dict[str, int] = {}
        """CPU by the name of who was asked."""
        self.unasked: dict[str, str] = {}
        """Why nobody was asked, by the name of the check."""

    def perform(self, call: Call) -> object:
        """A `running.Perform`."""
        from guardrails.running import Unmet

        need = call.need
        try:
            judge = self._judge(need.kind, need.name)
        except (ValueError, ImportError, OSError) as error:
            self.unasked[call.link.check.name] = str(error)
            raise Unmet("unavailable") from error
        begun = time.process_time_ns()
        found = judge(need.text)
        self.taken_ns[need.name] = self.taken_ns.get(need.name, 0) + time.process_time_ns() - begun
        return found

    def _judge(self, kind: str, name: str) -> Callable[[str], object]:
        """Raises ValueError, ImportError, OSError."""
        from gateway.runtime.check_loaders import LOADERS

        if (kind, name) not in self._judges:
            if kind not in LOADERS:
                raise ValueError(f"no {kind} is asked here")
            self._judges[kind, name] = LOADERS[kind](name)
        return self._judges[kind, name]

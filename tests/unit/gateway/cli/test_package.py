from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import click
from click.testing import CliRunner

from gateway.cli import GROUP, OWN, main

ROOT = Path(__file__).parents[4]


def test_importing_the_command_imports_no_command_and_nothing_heavy() -> None:
    heavy = ("msgspec", "yaml", "uvicorn", "httptools", "asyncio", "prometheus_client", "importlib.metadata")
    script = (
        "import sys, gateway.cli\n"
        f"print([m for m in sys.modules if m.startswith('gateway.cli.') or m.startswith({heavy!r})])"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_source_tree_has_the_commands_of_an_installed_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][GROUP] == OWN
    assert project["scripts"]["lockgate"] == "gateway.cli:main"


def test_help_lists_every_command() -> None:
    said = CliRunner().invoke(main, ["--help"])
    assert said.exit_code == 0
    assert all(f"  {name} " in said.output for name in OWN)


def test_every_command_can_be_loaded_and_says_what_it_does() -> None:
    with click.Context(main) as ctx:
        for name in OWN:
            command = main.get_command(ctx, name)
            assert command is not None
            assert command.get_short_help_str()
            assert "cannot be loaded" not in command.get_short_help_str(limit=200)


def test_an_unknown_command_is_wrong_usage() -> None:
    assert CliRunner().invoke(main, ["serv"]).exit_code == 2


def test_the_version_is_told() -> None:
    said = CliRunner().invoke(main, ["--version"])
    assert said.exit_code == 0
    assert said.output.startswith("lockgate ")

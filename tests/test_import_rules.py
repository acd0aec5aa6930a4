"""The import rules of `pyproject.toml` catch what they forbid: deliberate breaks in a skeleton of the packages."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ABOVE = "evals above gateway above guardrails and prompts"
ROWS = "gateway: composition root, planes, I/O, policy, wire"
PURE = "policy, wire, guardrails and prompts do no I/O"
NO_FRAMEWORK = "the data plane never imports a web framework"
EVALS = "evals use the gateway over HTTP and read its records"
TRAINING = "nothing that is installed imports the training of classifiers"
CYCLES = "no cycles between siblings"
ALLOWED = {"guardrails/training/sources.py": "import os\nimport pathlib"}
"""What a rule makes an exception for must be there, or the rule is said to be stale."""


@pytest.fixture(scope="module")
def packages() -> list[Path]:
    """Every module of the project, relative to its root."""
    return [
        path.relative_to(ROOT)
        for name in ("gateway", "guardrails", "prompts", "evals")
        for path in (ROOT / name).rglob("*.py")
    ]


def _broken(folder: Path, modules: list[Path], breaks: dict[str, str]) -> str:
    """What import-linter says of a skeleton with our modules, all empty but for `breaks` (module -> its source)."""
    sources = dict.fromkeys(modules, "") | {Path(name): source for name, source in (ALLOWED | breaks).items()}
    for module, source in sources.items():
        (folder / module).parent.mkdir(parents=True, exist_ok=True)
        (folder / module).write_text(source)
    (folder / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    code = (
        "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports_command; lint_imports_command()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )
    told = [line.partition(" (")[0] for line in done.stdout.splitlines()]  # without "(2 ignored imports)"
    return "\n".join(line for line in told if line.endswith((" BROKEN", " broken.")) or "does not" in line)


def test_a_skeleton_without_imports_keeps_every_rule(tmp_path: Path, packages: list[Path]) -> None:
    assert _broken(tmp_path, packages, {}) == "Contracts: 7 kept, 0 broken."


@pytest.mark.parametrize(
    ("module", "source", "rule"),
    [
        ("guardrails/__init__.py", "import prompts", ABOVE),
        ("prompts/__init__.py", "import gateway.errors", ABOVE),
        ("gateway/errors.py", "import evals", ABOVE),
        ("gateway/runtime/__init__.py", "import gateway.cli", ROWS),
        ("gateway/dataplane/__init__.py", "import gateway.runtime", ROWS),
        ("gateway/backends/__init__.py", "import gateway.store", ROWS),
        ("gateway/offload/__init__.py", "import gateway.backends", ROWS),
        ("gateway/policy/__init__.py", "import gateway.telemetry", ROWS),
        ("gateway/errors.py", "import gateway.clock", ROWS),
        ("gateway/a_new_module_in_no_row.py", "", ROWS),
        ("gateway/policy/__init__.py", "import time", PURE),
        ("gateway/wire/__init__.py", "from asyncio import sleep", PURE),
        ("guardrails/__init__.py", "from pathlib import Path", PURE),
        ("guardrails/normalise.py", "import guardrails.training", TRAINING),
        ("gateway/dataplane/__init__.py", "import starlette", NO_FRAMEWORK),
        ("evals/__init__.py", "import gateway.runtime", EVALS),
        ("gateway/store/one.py", "import gateway.store.two", CYCLES),
    ],
)
def test_a_deliberate_break_is_found(tmp_path: Path, packages: list[Path], module: str, source: str, rule: str) -> None:
    breaks = {module: source}
    if rule == CYCLES:
        breaks["gateway/store/two.py"] = "import gateway.store.one"
    assert _broken(tmp_path, packages, breaks) == f"{rule} BROKEN\nContracts: 6 kept, 1 broken."

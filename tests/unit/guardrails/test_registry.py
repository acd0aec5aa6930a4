from importlib import import_module
from pathlib import Path

from guardrails.registry import CHECKS

README = Path(__file__).resolve().parents[3] / "guardrails" / "README.md"


def test_every_check_of_the_registry_can_be_made() -> None:
    for target in CHECKS.values():
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name))


def test_every_check_is_told_in_the_readme() -> None:
    told = [line for line in README.read_text().splitlines() if line.startswith("| `")]
    for name in CHECKS:
        assert any(line.startswith(f"| `{name}` ") for line in told), name

from importlib import import_module
from inspect import signature
from pathlib import Path

from guardrails.registry import CHECKS

README = Path(__file__).resolve().parents[3] / "guardrails" / "README.md"


def test_what_makes_a_check_takes_each_of_its_settings() -> None:
    for name, registered in CHECKS.items():
        module, _, target = registered.target.partition(":")
        taken = set(signature(getattr(import_module(module), target)).parameters)
        assert {option.argument for option in registered.options.values()} == taken, name


def test_every_check_is_told_in_the_readme() -> None:
    told = [line for line in README.read_text().splitlines() if line.startswith("| `")]
    for name in CHECKS:
        assert any(line.startswith(f"| `{name}` ") for line in told), name

"""`configs/README.md` and `configs/example/` say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config import review, schema
from gateway.config.load import VARIABLES, load, load_with_places
from gateway.config.model import Overrides

CONFIGS = Path(__file__).parents[4] / "configs"
NOW_S = 1_800_000_000


@pytest.mark.parametrize(("path", "table"), list(schema.tables()), ids=[path for path, _ in schema.tables()])
def test_the_readme_has_every_setting_with_its_default_and_meaning(path: str, table: str) -> None:
    assert f"### `{path}`\n\n{table}\n" in (CONFIGS / "README.md").read_text(), (
        "stale: python -m gateway.config.schema --tables"
    )


def test_the_readme_has_every_flag_with_its_variable() -> None:
    rows = re.findall(
        r"^\| `--([a-z-]+)` \| `(LOCKGATE_[A-Z_]+)` \|", (CONFIGS / "README.md").read_text(), re.MULTILINE
    )
    assert {flag.replace("-", "_"): variable for flag, variable in rows} == dict(VARIABLES)
    assert tuple(VARIABLES) == Overrides.__struct_fields__


def test_the_example_runs_without_a_doubt() -> None:
    config, places = load_with_places(CONFIGS / "example", environ={"VLLM_KEY": "k"})
    assert [places.show(doubt) for doubt in review.doubts(config, NOW_S)] == []


def test_the_example_uses_every_section() -> None:
    config = load(CONFIGS / "example", environ={"VLLM_KEY": "k"})
    for name in config.__struct_fields__:
        assert getattr(config, name)

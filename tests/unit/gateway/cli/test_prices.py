from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.config.load import load

MAP = {
    "gpt-4o-mini": {"input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07, "litellm_provider": "openai",
                    "input_cost_per_token_batches": 1e-8},
    "claude": {"input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05, "litellm_provider": "anthropic"},
    "dall-e": {"output_cost_per_image": 0.04},
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "map.json"
    path.write_text(json.dumps(MAP))
    return path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["prices", "import", *map(str, arguments)])


def test_without_a_folder_it_only_says_what_there_is(file: Path) -> None:
    result = run(file)
    assert result.exit_code == 0
    assert "2 models with a price of tokens or requests" in result.output
    assert "1 models left out" in result.output
    assert "    1  priced by output_cost_per_image only" in result.output
    assert "    1  input_cost_per_token_batches" in result.output
    assert [path.name for path in file.parent.iterdir()] == ["map.json"]


def test_what_it_writes_prices_the_models_of_the_configuration(file: Path) -> None:
    folder = file.parent / "config"
    folder.mkdir()
    (folder / "a.yaml").write_text(
        "backends: {c: {kind: provider, provider: anthropic, api_key: k}}\n"
        "models: {claude: {backend: c, price: from_price_map}}\n"
    )
    assert run(file, "--config", folder).exit_code == 0
    assert load(folder, environ={}).models["claude"].price is not None
    assert sorted(path.name for path in folder.iterdir()) == ["a.yaml", "prices.json"]
    assert run(file, "--config", folder, "--only", "gpt-*").exit_code == 0
    assert list(json.loads((folder / "prices.json").read_text())["prices"]) == ["gpt-4o-mini"]


def test_nothing_is_written_when_nothing_can_be_kept(file: Path) -> None:
    (file.parent / "prices.json").write_text("kept")
    for only in ("dall-e", "none"):
        result = run(file, "--config", file.parent, "--only", only)
        assert result.exit_code == 1
        assert "no model has a price that can be kept and such a name" in result.output
    file.write_text("{")
    assert run(file, "--config", file.parent).exit_code == 1
    assert (file.parent / "prices.json").read_text() == "kept"

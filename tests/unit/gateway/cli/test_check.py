from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.backends import embedded_models
from gateway.cli import main
from guardrails.ner import WEIGHTS, pipeline
from tests.support import onnx_models
from tests.support.model_folders import digest, packaged

GOOD = """
backends: {b: {kind: fake}}
models: {m: {backend: b}}
tenants: {t: {models: [m], keys: {k: {hash: "sha256:HASH"}}}}
""".replace("HASH", "ab" * 32)


def check(folder: Path, text: str, **environ: str) -> Result:
    (folder / "a.yaml").write_text(text)
    return CliRunner(env=environ).invoke(main, ["check", str(folder)])


def test_a_good_configuration_is_described_and_ends_with_0(tmp_path: Path) -> None:
    said = check(tmp_path, GOOD)
    assert said.exit_code == 0
    assert "1 key; may use 1 model: m" in said.output
    assert said.output.endswith("No doubts.\n")


def test_what_the_environment_sets_is_said(tmp_path: Path) -> None:
    assert "server.workers comes from LOCKGATE_WORKERS" in check(tmp_path, GOOD, LOCKGATE_WORKERS="3").output


def test_a_doubt_is_told_with_its_place_after_the_description_and_ends_with_1(tmp_path: Path) -> None:
    said = check(tmp_path, GOOD.replace("[m]", "[m, n]"))
    assert said.exit_code == 1
    assert "may use 1 model: m" in said.output
    assert "1 doubt:\n  a.yaml:4: tenants.t.models[1]: matches no model; known: m\n" in said.output


def test_a_file_that_is_not_there_is_a_doubt(tmp_path: Path) -> None:
    said = check(tmp_path, GOOD.replace("kind: fake", "kind: fake, script: nowhere.yaml"))
    assert said.exit_code == 1
    assert "backends.b.script: there is no such file here" in said.output


@pytest.mark.parametrize("model", [*embedded_models.MODELS, "./nowhere.gguf"])
def test_a_model_that_cannot_be_served_here_is_a_doubt_that_says_what_it_lacks(tmp_path: Path, model: str) -> None:
    said = check(tmp_path, GOOD.replace("kind: fake", f"kind: embedded, model: {model}"))
    lacking = embedded_models.missing(model)
    assert said.exit_code == (0 if lacking is None else 1)
    assert f"backends.b.model: {lacking}" in said.output or lacking is None


def test_weights_that_a_chain_needs_and_that_are_not_here_are_a_doubt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.cache_clear()  # another test may have loaded it
    for package in WEIGHTS:
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    entry = "{check: pii, phase: input, action: mask, entities: [PERSON]}"
    text = GOOD + f"chains: {{standard: [{entry}, {{check: injection, phase: input, action: block}}]}}\n"
    result = check(tmp_path, text)
    assert result.exit_code == 1
    assert "chains.standard: asks for what is not here" in result.output
    assert "pip install 'lockgate[pii]'" in result.output
    assert "injection" not in result.output.partition("doubt")[2]


def test_an_error_is_told_and_ends_with_1(tmp_path: Path) -> None:
    said = check(tmp_path, "servr: {}")
    assert said.exit_code == 1
    assert said.output == "Error: a.yaml:1: servr: unknown section; did you mean server?\n"


def test_wrong_usage_ends_with_2() -> None:
    assert CliRunner().invoke(main, ["check"]).exit_code == 2


@pytest.mark.parametrize("text", ["", "# nothing"])
def test_a_configuration_that_serves_nothing_is_doubtful(tmp_path: Path, text: str) -> None:
    said = check(tmp_path, text)
    assert said.exit_code == 1
    assert "nothing can be served" in said.output


def test_a_classic_model_is_read_and_tried(tmp_path: Path) -> None:
    model = packaged(tmp_path / "m", {"model.onnx": onnx_models.columns()})
    text = GOOD.replace(
        "{m: {backend: b}}", f"{{m: {{backend: b}}, c: {{kind: onnx, versions: {{1: {model}}}, SCHEMA}}}}"
    )
    text = text.replace("[m]", "[m, c]")
    said = check(tmp_path, text.replace("SCHEMA", "schema: {age: {min: 18}}"))
    assert said.exit_code == 0, said.output
    assert f"version 1 from {model} ({digest(onnx_models.columns())[:19]}…); 1 column checked" in said.output
    said = check(tmp_path, text.replace("SCHEMA", "schema: {aeg: {}}"))
    assert said.exit_code == 1
    assert f'a.yaml:3: models.c.versions.1: {model}/model.onnx: column "aeg" is no input of the model' in said.output
    (model / "model.onnx").write_bytes(onnx_models.linear())
    said = check(tmp_path, text.replace("SCHEMA", "schema: {}"))
    assert said.exit_code == 1
    assert f"its digest is {digest(onnx_models.linear())}, its manifest expects" in said.output

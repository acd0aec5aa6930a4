from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from tests.support import onnx_models
from tests.support.model_folders import digest


def models(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, arguments)])


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "columns.onnx"
    path.write_bytes(onnx_models.columns())
    return path


def test_packaging_says_what_is_in_the_folder_and_showing_says_it_again(tmp_path: Path, source: Path) -> None:
    schema = tmp_path / "schema.yaml"
    schema.write_text("age: {min: 18, nulls: impute, impute: 40}\nplan: {one_of: [free, pro]}\nvisits: {}\n")
    made = models("package", source, "--name", "c", "--schema", schema, "--note", "none", "--out", tmp_path / "c")
    assert made.exit_code == 0, made.output
    assert made.output == models("show", tmp_path / "c").output
    for line in (
        "name           c",
        f"digest         {digest(source.read_bytes())}",
        "input          age: FP32 [n, 1]",
        "output         member_out: BOOL [n, 1]",
        "column         age: min 18, nulls impute, impute 40",
        "column         plan: one_of free, pro",
        "column         visits: any value, no nulls",
        "preprocessing  none",
        "made with      opsets ai.onnx 17",
    ):
        assert f"{line}\n" in made.output


def test_a_bare_file_is_shown_with_its_digest(source: Path) -> None:
    said = models("show", source)
    assert said.exit_code == 0
    assert f"digest         {digest(source.read_bytes())}\n" in said.output
    assert "opsets ai.onnx 17" in said.output


def test_a_changed_file_ends_with_1_and_both_digests(tmp_path: Path, source: Path) -> None:
    models("package", source, "--name", "c", "--out", tmp_path / "c")
    (tmp_path / "c" / "model.onnx").write_bytes(onnx_models.linear())
    said = models("show", tmp_path / "c")
    assert said.exit_code == 1
    assert (
        f"its digest is {digest(onnx_models.linear())}, its manifest expects {digest(source.read_bytes())}"
        in said.output
    )


def test_a_file_that_would_not_load_is_not_packaged(tmp_path: Path, source: Path) -> None:
    source.write_bytes(source.read_bytes()[:-20])
    said = models("package", source, "--name", "c", "--out", tmp_path / "c")
    assert said.exit_code == 1
    assert "Error: " in said.output
    assert "this file is cut" in said.output
    assert not (tmp_path / "c").exists()

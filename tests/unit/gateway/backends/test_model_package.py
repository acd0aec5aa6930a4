"""Packaging a model: what is written is what a gateway loads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gateway.backends import classic, model_files, model_package
from gateway.config.model import Column
from gateway.config.snapshot import ClassicVersion
from gateway.errors import ConfigError
from gateway.wire.infer.request import TensorSpec
from tests.support import onnx_models
from tests.support.model_folders import digest, external


def package(source: Path, out: Path, **schema: Column) -> model_files.Manifest:
    return model_package.package(source, out, name="m", schema=schema, note="none", versions={"lockgate": "1"})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "columns.onnx"
    path.write_bytes(onnx_models.columns())
    return path


def test_a_package_says_what_its_model_takes_and_how_it_came_to_be(tmp_path: Path, source: Path) -> None:
    schema = {"age": Column(min=18), "plan": Column(one_of=("free", "pro"))}
    written = package(source, tmp_path / "new" / "m", **schema)
    found = model_files.open_model(str(tmp_path / "new" / "m"))
    assert found.manifest == written
    assert (found.model, found.digest) == (source.read_bytes(), digest(source.read_bytes()))
    assert written.inputs[:2] == (TensorSpec("age", "FP32", ("n", 1)), TensorSpec("plan", "BYTES", ("n", 1)))
    assert [spec.name for spec in written.outputs] == ["age_out", "plan_out", "visits_out", "member_out"]
    assert (written.schema, written.preprocessing) == (schema, "none")
    assert written.made_with["opsets"] == "ai.onnx 17"
    assert written.made_with["lockgate"] == "1"
    assert written.made_with["onnxruntime"]
    assert classic.load(ClassicVersion("m", "1", str(tmp_path / "new" / "m"), found.digest, written.schema)).rows


def test_the_same_model_packaged_again_is_the_same(tmp_path: Path, source: Path) -> None:
    package(source, tmp_path / "a")
    package(source, tmp_path / "b")
    for name in (model_files.MODEL, model_files.MANIFEST):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_weights_in_other_files_come_along(tmp_path: Path) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.data").write_bytes(np.ones(64, np.float32).tobytes())
    (tmp_path / "m.onnx").write_bytes(external("weights/w.data"))
    written = package(tmp_path / "m.onnx", tmp_path / "m")
    assert list(written.files) == ["model.onnx", "weights/w.data"]
    assert classic.load(ClassicVersion("m", "1", str(tmp_path / "m"), "", {})).name == "m (version 1)"


def test_weights_that_are_missing_are_named_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(external("w.data"))
    with pytest.raises(ConfigError, match=r"w\.data: cannot read this file: No such file"):
        package(tmp_path / "m.onnx", tmp_path / "m")
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_a_schema_that_does_not_fit_writes_nothing(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ConfigError, match='column "aeg" is no input of the model; did you mean age'):
        package(source, tmp_path / "m", aeg=Column())
    assert [path.name for path in tmp_path.iterdir()] == ["columns.onnx"]


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path, source: Path) -> None:
    (tmp_path / "m").mkdir()
    with pytest.raises(ConfigError, match="it is there already"):
        package(source, tmp_path / "m")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ConfigError, match=r"columns\.onnx.*: Not a directory"):
        package(source, source / "m")


def test_a_schema_file_is_read_as_a_configuration_is(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    path.write_text("age: {min: 18}\nplan:\n  one_of: [free]\n")
    assert model_package.read_schema(path) == {"age": Column(min=18), "plan": Column(one_of=("free",))}
    path.write_text("age: {mni: 18}\nplan: {min: 2,\n  max: 1}\n")
    with pytest.raises(ConfigError) as told:
        model_package.read_schema(path)
    assert str(told.value) == "schema.yaml:1: age.mni: unknown key; did you mean min?"
    path.write_text("plan:\n  min: 2\n  max: 1\n")
    with pytest.raises(ConfigError, match=r"^schema\.yaml:2: plan\.min: larger than max \(1\)"):
        model_package.read_schema(path)


@pytest.mark.parametrize(
    ("data", "told"),
    [(b"a: [", "schema.yaml:[12]: "), (b"\xff", "not UTF-8"), (b"[]", "schema.yaml:1: expected a map by name")],
)
def test_a_schema_file_that_cannot_be_read_is_told(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "schema.yaml").write_bytes(data)
    with pytest.raises(ConfigError, match=told):
        model_package.read_schema(tmp_path / "schema.yaml")
    with pytest.raises(ConfigError, match="cannot read this file"):
        model_package.read_schema(tmp_path / "gone.yaml")

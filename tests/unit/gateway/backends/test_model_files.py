"""A model's files, read and held to their digests."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

import msgspec
import pytest

from gateway.backends import model_files
from gateway.backends.model_files import MANIFEST, MODEL, Manifest, open_model
from gateway.config.model import CLASSIC_MODELS, Column
from gateway.config.snapshot import ClassicVersion
from gateway.errors import ConfigError
from gateway.wire.infer.request import TensorSpec
from tests.support import onnx_models
from tests.support.model_folders import digest, external, packaged

LINEAR = onnx_models.linear()


def told(path: Path | str) -> str:
    with pytest.raises(ConfigError) as error:
        open_model(str(path))
    return str(error.value)


def test_a_bare_file_has_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "linear.onnx"
    path.write_bytes(LINEAR)
    found = open_model(str(path))
    assert (found.model, found.path, found.digest, found.manifest) == (LINEAR, path, digest(LINEAR), None)
    assert found.head.opsets == {"ai.onnx": 17}


def test_a_packaged_folder_has_the_digest_of_its_model_and_a_manifest(tmp_path: Path) -> None:
    folder = packaged(tmp_path / "m", {MODEL: LINEAR}, {"schema": {"x": Column(min=1, one_of=(1, 2.5))}})
    found = open_model(str(folder))
    assert (found.digest, found.path) == (digest(LINEAR), folder / MODEL)
    assert found.manifest is not None
    assert found.manifest.schema == {"x": Column(min=1, one_of=(1, 2.5))}


@pytest.mark.parametrize("name", CLASSIC_MODELS)
def test_a_model_that_comes_in_a_package_is_found_by_its_name(name: str) -> None:
    found = open_model(name)
    assert found.path.is_file()
    assert found.digest == digest(found.model)


def test_weights_in_other_files_count_for_the_digest(tmp_path: Path) -> None:
    model = external("w.data")
    found = open_model(str(packaged(tmp_path / "m", {MODEL: model, "w.data": b"weights"})))
    lines = f"{hashlib.sha256(model).hexdigest()}  model.onnx\n{hashlib.sha256(b'weights').hexdigest()}  w.data\n"
    assert found.digest == digest(lines.encode())


def test_a_file_that_is_not_what_the_manifest_says_is_named_with_both_digests(tmp_path: Path) -> None:
    folder = packaged(tmp_path / "m", {MODEL: external("w.data"), "w.data": b"weights"})
    (folder / "w.data").write_bytes(b"Weights")
    message = f"w.data: its digest is {digest(b'Weights')}, its manifest expects {digest(b'weights')}"
    assert message in told(folder)
    (folder / "w.data").unlink()
    assert "w.data: cannot read this file: No such file" in told(folder)
    (folder / MODEL).write_bytes(LINEAR)
    (folder / "w.data").write_bytes(b"weights")
    assert f"model.onnx: its digest is {digest(LINEAR)}, its manifest expects " in told(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "a manifest of format 2; this version reads format 1"),
        ({"files": {"other.onnx": "sha256:0"}}, "it does not name model.onnx"),
        ({"files": {MODEL: "sha256:0", "../x": "sha256:0"}}, "it names a file outside its folder"),
        ({"files": {MODEL: "sha256:0", "/x": "sha256:0"}}, "it names a file outside its folder"),
    ],
)
def test_a_manifest_that_cannot_be_followed_is_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    assert message in told(packaged(tmp_path / "m", {MODEL: LINEAR}, changes))


def test_a_folder_without_a_good_manifest_is_no_model(tmp_path: Path) -> None:
    folder = packaged(tmp_path / "m", {MODEL: LINEAR})
    (folder / MANIFEST).write_text('{"format": 1, "nmae": "m"}')
    assert "not a manifest" in told(folder)
    (folder / MANIFEST).unlink()
    assert told(folder) == f"{folder}: no model here: manifest.json is missing (lockgate models package)"


def test_weights_that_nothing_vouches_for_are_refused(tmp_path: Path) -> None:
    bare = tmp_path / "m.onnx"
    bare.write_bytes(external("w.data"))
    assert "it keeps weights in other files (w.data): package it" in told(bare)
    folder = packaged(tmp_path / "m", {MODEL: external("w.data")})
    assert "it keeps weights in w.data, which manifest.json does not name" in told(folder)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert told(tmp_path / "gone.onnx") == f"{tmp_path}/gone.onnx: cannot read this file: No such file or directory"
    os.mkfifo(tmp_path / "pipe")
    assert "neither a file nor a folder" in told(tmp_path / "pipe")


def test_a_version_is_read_only_as_it_was_pinned(tmp_path: Path) -> None:
    path = tmp_path / "linear.onnx"
    path.write_bytes(LINEAR)
    version = ClassicVersion("m", "1", str(path), digest(LINEAR), {})
    assert model_files.read_checked(version).model == LINEAR
    path.write_bytes(onnx_models.look_up())
    with pytest.raises(ConfigError, match=f"its digest is sha256:[0-9a-f]{{64}}, expected {digest(LINEAR)}"):
        model_files.read_checked(version)


def test_a_manifest_is_read_as_it_was_written() -> None:
    manifest = Manifest(
        format=1,
        name="m",
        files={MODEL: "sha256:0"},
        inputs=(TensorSpec("x", "FP32", ("n", 4)),),
        outputs=(TensorSpec("y", "INT64", (-1,)),),
        schema={"a": Column(nulls="impute", impute=0)},
        preprocessing="none",
        made_with={"onnxruntime": "1"},
    )
    assert msgspec.json.decode(model_files.encode_manifest(manifest), type=Manifest) == manifest


def test_what_has_to_be_installed_is_told_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert model_files.missing("magika") is model_files.missing("m.onnx") is None
    monkeypatch.setitem(sys.modules, "magika", None)  # as if it were not installed
    message = (
        "the classic model magika needs magika, not installed here. Install with:\n    pip install 'lockgate[embedded]'"
    )
    assert model_files.missing("magika") == told("magika") == message
    assert model_files.missing("m.onnx") is None
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert str(model_files.missing("m.onnx")).endswith(
        "needs onnxruntime, not installed here. Install with:\n    pip install 'lockgate[classic]'"
    )

"""From a version's files to a session: what is wrong with them is told with the file and the reason."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper

from gateway.backends import classic, model_files
from gateway.config.model import Column
from gateway.config.snapshot import ClassicVersion
from gateway.errors import ConfigError
from gateway.wire.infer.request import InferCall, Tensor
from tests.support import onnx_models, text_models
from tests.support.model_folders import external, packaged


def version(path: Path | str, digest: str = "", **columns: Column) -> ClassicVersion:
    return ClassicVersion("m", "1", str(path), digest, columns)


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    return path


def told(found: ClassicVersion) -> str:
    with pytest.raises(ConfigError) as error:
        classic.load(found)
    return str(error.value)


def test_a_session_knows_its_signature_and_its_schema(tmp_path: Path) -> None:
    path = written(tmp_path, onnx_models.columns())
    session = classic.load(version(path, age=Column(min=18)))
    assert [spec.name for spec in session.signature.inputs] == ["age", "plan", "visits", "member"]
    assert session.rows is not None
    assert classic.load(version(path)).rows is None


def test_a_schema_that_does_not_fit_the_file_is_told_with_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, onnx_models.columns())
    assert told(version(path, aeg=Column())) == f'{path}: column "aeg" is no input of the model; did you mean age?'
    assert "its type is string, but the model takes FP32" in told(version(path, age=Column(type="string")))


def test_a_model_that_a_check_asks_takes_one_text(tmp_path: Path) -> None:
    judge = msgspec.structs.replace(version(written(tmp_path, text_models.classifier())), judges=True)
    assert classic.load(judge).signature.inputs[0].datatype == "BYTES"
    path = written(tmp_path, onnx_models.linear())
    found = told(msgspec.structs.replace(version(path), judges=True))
    assert found.startswith(f"{path}: a check asks it, and a model that judges texts takes one input, of text (BYTES)")
    assert found.endswith("this one takes x FP32 ['n', 4]")


def test_a_file_for_a_newer_runtime_says_which_of_its_versions_is_newer(tmp_path: Path) -> None:
    x, y = onnx_models.tensor("x", TensorProto.FLOAT, [1]), onnx_models.tensor("y", TensorProto.FLOAT, [1])
    node = helper.make_node("Identity", ["x"], ["y"])
    path = written(tmp_path, onnx_models.model([node], [x], [y], opset=99))
    assert told(version(path)).startswith(f"{path}: it is written for opset 99, which is newer than ONNX Runtime ")
    newer = onnx_models.linear()
    assert newer[:2] == b"\x08\x09"  # the version of the format
    assert f"{path}: its format (IR version 99) is newer than ONNX Runtime " in told(
        version(written(tmp_path, b"\x08\x63" + newer[2:]))
    )


def test_an_operator_that_nobody_knows_is_told_without_a_trace(tmp_path: Path) -> None:
    x, y = onnx_models.tensor("x", TensorProto.FLOAT, [1]), onnx_models.tensor("y", TensorProto.FLOAT, [1])
    path = written(tmp_path, onnx_models.model([helper.make_node("Conjure", ["x"], ["y"])], [x], [y]))
    message = told(version(path))
    assert message.startswith(f"{path}: ")
    assert "Conjure" in message
    assert "onnxruntime_src" not in message


def test_weights_in_other_files_are_read_from_beside_the_model(tmp_path: Path) -> None:
    weights = np.arange(64, dtype=np.float32)
    folder = packaged(tmp_path / "m", {"model.onnx": external("w.data"), "w.data": weights.tobytes()})
    session = classic.load(version(folder))
    tensor = Tensor("x", "FP32", (64,), memoryview(np.ones(64, np.float32).tobytes()))
    (found,) = session.answer(InferCall("", (tensor,), (), False))
    assert found.data == (weights + 1).tolist()


def test_a_file_that_is_not_the_pinned_one_is_not_loaded(tmp_path: Path) -> None:
    path = written(tmp_path, onnx_models.linear())
    pinned = model_files.open_model(str(path)).digest
    assert classic.load(version(path, pinned)).name == "m (version 1)"
    written(tmp_path, onnx_models.look_up())
    assert f"expected {pinned}" in told(version(path, pinned))

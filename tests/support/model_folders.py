"""Classic models as files: packaged folders, and models that keep weights in other files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gateway.backends.model_files import FORMAT, MANIFEST, Manifest, encode_manifest
from tests.support import onnx_models


def digest(data: bytes) -> str:
    """As the configuration writes it."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def packaged(folder: Path, files: Mapping[str, bytes], changes: Mapping[str, Any] | None = None) -> Path:
    """A folder with these files and a manifest that tells the truth, but for `changes`."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    digests = {name: digest(data) for name, data in files.items()}
    manifest = Manifest(format=FORMAT, name="m", files=digests, inputs=(), outputs=())
    (folder / MANIFEST).write_bytes(encode_manifest(msgspec.structs.replace(manifest, **(changes or {}))))
    return folder


def external(*places: str) -> bytes:
    """`x` FP32 [64] → `y`, the sum of `x` and the first of the weights that lie in each of these files."""
    weights = []
    for index, place in enumerate(places):
        weight = numpy_helper.from_array(np.ones(64, np.float32), f"w{index}")
        onnx.external_data_helper.set_external_data(weight, place)
        weight.data_location = TensorProto.EXTERNAL
        weight.ClearField("raw_data")
        weights.append(weight)
    x, y = onnx_models.tensor("x", TensorProto.FLOAT, [64]), onnx_models.tensor("y", TensorProto.FLOAT, [64])
    graph = helper.make_graph([helper.make_node("Add", ["x", "w0"], ["y"])], "g", [x], [y], weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, producer_name="me")
    data: bytes = made.SerializeToString()
    return data

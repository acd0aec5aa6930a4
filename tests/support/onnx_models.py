"""Small ONNX models, made when a test needs one."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHTS = np.array([[0.5, -1.25], [2.0, 0.125], [-0.75, 1.0], [0.1, 0.3]], np.float32)
"""Of `linear`: four features, two scores."""


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: dict[str, Any] | None = None,
    opset: int = 17,
) -> bytes:
    """A model's file."""
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(nodes, "test", inputs, outputs, initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    data: bytes = made.SerializeToString()
    return data


def tensor(name: str, kind: int, shape: list[int | str | None]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def linear() -> bytes:
    """`x` FP32 [n, 4] → `scores` FP32 [n, 2] and `label` INT64 [n]."""
    return model(
        [
            helper.make_node("MatMul", ["x", "w"], ["products"]),
            helper.make_node("Sigmoid", ["products"], ["scores"]),
            helper.make_node("ArgMax", ["scores"], ["label"], axis=1, keepdims=0),
        ],
        [tensor("x", TensorProto.FLOAT, ["n", 4])],
        [tensor("scores", TensorProto.FLOAT, ["n", 2]), tensor("label", TensorProto.INT64, ["n"])],
        {"w": WEIGHTS},
    )


def columns() -> bytes:
    """`age` FP32 [n, 1], `plan` BYTES [n, 1], `visits` INT64 [n, 1], `member` BOOL [n, 1] → each as it came, as
    `NAME_out`."""
    kinds = {
        "age": TensorProto.FLOAT,
        "plan": TensorProto.STRING,
        "visits": TensorProto.INT64,
        "member": TensorProto.BOOL,
    }
    return model(
        [helper.make_node("Identity", [name], [f"{name}_out"]) for name in kinds],
        [tensor(name, kind, ["n", 1]) for name, kind in kinds.items()],
        [tensor(f"{name}_out", kind, ["n", 1]) for name, kind in kinds.items()],
    )


def identity(kind: int) -> bytes:
    """`x` [n] → `y` [n], of one datatype."""
    return model([helper.make_node("Identity", ["x"], ["y"])], [tensor("x", kind, ["n"])], [tensor("y", kind, ["n"])])


def look_up() -> bytes:
    """`i` INT64 [n] → `y` FP32 [n]: raises for an index outside of -3 to 2."""
    return model(
        [helper.make_node("Gather", ["table", "i"], ["y"], name="look_up")],
        [tensor("i", TensorProto.INT64, ["n"])],
        [tensor("y", TensorProto.FLOAT, ["n"])],
        {"table": np.array([0.0, 1.0, 2.0], np.float32)},
    )


def rounds() -> bytes:
    """`count` INT64 [] → `y` FP32 [64, 64]: as many products of matrices as asked for, so it takes as long as asked."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still"]),
            helper.make_node("MatMul", ["matrix", "turn"], ["turned"]),
        ],
        "round",
        [
            tensor("round", TensorProto.INT64, []),
            tensor("go_on", TensorProto.BOOL, []),
            tensor("matrix", TensorProto.FLOAT, [64, 64]),
        ],
        [tensor("still", TensorProto.BOOL, []), tensor("turned", TensorProto.FLOAT, [64, 64])],
        [numpy_helper.from_array(np.eye(64, dtype=np.float32), "turn")],
    )
    return model(
        [helper.make_node("Loop", ["count", "", "start"], ["y"], body=body)],
        [tensor("count", TensorProto.INT64, [])],
        [tensor("y", TensorProto.FLOAT, [64, 64])],
        {"start": np.eye(64, dtype=np.float32)},
    )

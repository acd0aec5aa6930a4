"""gateway.wire.infer.judging"""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.infer import data as infer_data
from gateway.wire.infer import judging, request
from gateway.wire.infer.answer import Output
from gateway.wire.infer.request import TensorSpec

TEXT = TensorSpec("text", "BYTES", ("n", 1))


@pytest.mark.parametrize("shape", [(-1,), ("n", 1), (1, 1), (), (-1, -1)])
def test_one_input_of_text_in_a_shape_of_one_text_takes_what_is_judged(shape: tuple[int | str, ...]) -> None:
    spec = TensorSpec("text", "BYTES", shape)
    assert judging.input_of([spec]) == spec
    (tensor,) = judging.question(spec, "hi", binary=True).inputs
    assert (tensor.shape, infer_data.texts(tensor)) == ((1,) * len(shape), ["hi"])


@pytest.mark.parametrize(
    "inputs",
    [[], [TEXT, TEXT], [TensorSpec("x", "FP32", ("n", 1))], [TensorSpec("x", "BYTES", ("n", 3))]],
)
def test_other_inputs_take_none(inputs: list[TensorSpec]) -> None:
    assert judging.input_of(inputs) is None


def test_what_a_server_tells_of_a_model_says_what_it_takes() -> None:
    told = {"name": "m", "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1, 1]}], "outputs": []}
    assert judging.told_input(json.dumps(told).encode()) == TensorSpec("text", "BYTES", (-1, 1))
    for body in (b"", b"{}", b"[]", b'{"inputs":[{"name":1}]}', b"\xff"):
        assert judging.told_input(body) is None


def test_a_server_is_asked_in_json_and_half_a_character_is_no_obstacle() -> None:
    body, length = request.outgoing(judging.question(TEXT, "a\ud800b", binary=False))
    assert length is None
    assert json.loads(body) == {"inputs": [{"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": ["a?b"]}]}


@pytest.mark.parametrize(
    ("outputs", "meant"),
    [
        ([("label", "INT64", [1]), ("probabilities", "FP32", [0.25, 0.75])], 0.75),
        ([("probabilities", "FP32", [[0.25, 0.75]]), ("label", "INT64", [1])], 0.75),
        ([("score", "FP64", [0.5])], 0.5),
        ([("logits", "FP32", [-2.0, 7.5])], None),
        ([("score", "FP32", [float("nan")])], None),
        ([("label", "INT64", [0])], 0.0),
        ([("label", "INT32", [3])], 1.0),
        ([("label", "BOOL", [True])], 1.0),
        ([("label", "BYTES", ["unsafe"])], 1.0),
        ([("label", "BYTES", ["perhaps"])], None),
        ([("score", "FP32", [None])], None),
        ([("score", "FP32", [])], None),
        ([], None),
    ],
)
def test_what_outputs_mean(outputs: list[tuple[str, str, Any]], meant: float | None) -> None:
    told = {"outputs": [{"name": n, "datatype": kind, "shape": [1], "data": data} for n, kind, data in outputs]}
    assert judging.score(judging.answered(json.dumps(told).replace("NaN", "null").encode())) == meant


def test_what_is_no_answer_is_no_judgement() -> None:
    for body in (b"", b"{}", b'{"outputs":[{}]}', b"\xff"):
        assert judging.score(judging.answered(body)) is None
    assert judging.score([Output("score", "FP32", [1], b"\x00\x00\x00\x3f")]) is None

from __future__ import annotations

import json
import math

from gateway.wire.infer import answer as infer_answer
from gateway.wire.infer.answer import Output
from gateway.wire.infer.request import Signature, TensorSpec


def test_an_answer_in_json_holds_the_data() -> None:
    body, length = infer_answer.render("churn", "3", "7", [Output("y", "FP32", (1, 2), [0.25, math.nan])])
    assert length is None
    assert json.loads(body) == {
        "model_name": "churn",
        "model_version": "3",
        "id": "7",
        "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 2], "data": [0.25, None]}],
    }


def test_binary_outputs_follow_the_json_in_order() -> None:
    outputs = [
        Output("a", "FP32", (1,), b"1234"),
        Output("j", "INT64", (0,), []),
        Output("b", "BOOL", (2,), b"\0\1"),
        Output("none", "FP32", (0,), b""),
    ]
    body, length = infer_answer.render("m", "1", "", outputs)
    assert length is not None
    told = json.loads(body[:length])
    assert body[length:] == b"1234\0\1"
    assert "id" not in told
    assert [output.get("parameters") for output in told["outputs"]] == [
        {"binary_data_size": 4},
        None,
        {"binary_data_size": 2},
        {"binary_data_size": 0},
    ]
    assert told["outputs"][1]["data"] == []


def test_texts_are_lengths_and_utf_8() -> None:
    assert infer_answer.texts(["ab", "", "ä"]) == b"\x02\0\0\0ab\0\0\0\0\x02\0\0\0\xc3\xa4"


def test_a_model_says_what_it_takes_with_minus_one_for_what_is_open() -> None:
    signature = Signature((TensorSpec("x", "FP32", ("n", -1, 4)),), (TensorSpec("y", "BYTES", ("n",)),))
    assert json.loads(infer_answer.model("churn", ["2", "3"], signature)) == {
        "name": "churn",
        "versions": ["2", "3"],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, -1, 4]}],
        "outputs": [{"name": "y", "datatype": "BYTES", "shape": [-1]}],
    }


def test_the_server_and_a_ready_model_say_who_they_are() -> None:
    assert json.loads(infer_answer.server("0.1")) == {
        "name": "lockgate",
        "version": "0.1",
        "extensions": ["binary_tensor_data"],
    }
    assert json.loads(infer_answer.ready("churn")) == {"name": "churn", "ready": True}

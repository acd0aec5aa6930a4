from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.wire.infer import request as infer
from gateway.wire.infer.request import Signature, TensorSpec


def _input(**changes: Any) -> dict[str, Any]:
    return {"name": "x", "shape": [2], "datatype": "FP32", "data": [1.5, 2]} | changes


def _body(*inputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"inputs": list(inputs), **more}).encode()


def _binary(size: int, **changes: Any) -> dict[str, Any]:
    return _without_data(parameters={"binary_data_size": size}, **changes)


def _without_data(**changes: Any) -> dict[str, Any]:
    sent = _input(**changes)
    del sent["data"]
    return sent


def _refusal(body: bytes, header_length: bytes | None = None) -> str:
    with pytest.raises(InvalidRequest) as refused:
        infer.parse(body, header_length)
    return refused.value.message


def test_a_json_request_is_read_with_its_data_left_as_it_came() -> None:
    call = infer.parse(_body(_input(), id="7", outputs=[{"name": "y"}], parameters={"own": 1.5}), None)
    assert (call.id, call.binary, call.rows, call.parameters) == ("7", False, 2, {"own": 1.5})
    (tensor,) = call.inputs
    assert (tensor.name, tensor.datatype, tensor.shape) == ("x", "FP32", (2,))
    assert isinstance(tensor.data, msgspec.Raw)
    assert bytes(tensor.data) == b"[1.5, 2]"
    assert [(wanted.name, wanted.binary) for wanted in call.outputs] == [("y", False)]


def test_binary_tensors_are_cut_from_behind_the_json_in_order() -> None:
    header = _body(_binary(8), _binary(3, name="b", shape=[3], datatype="BOOL"), _input(name="j"))
    call = infer.parse(header + b"12345678" + b"\0\1\0", str(len(header)).encode())
    assert [bytes(tensor.data) for tensor in call.inputs[:2] if isinstance(tensor.data, memoryview)] == [
        b"12345678",
        b"\0\1\0",
    ]
    assert isinstance(call.inputs[2].data, msgspec.Raw)


def test_outputs_are_binary_where_the_request_or_the_output_says_so() -> None:
    outputs = [{"name": "a"}, {"name": "b", "parameters": {"binary_data": False}}]
    call = infer.parse(_body(_input(), outputs=outputs, parameters={"binary_data_output": True}), None)
    assert call.binary
    assert [wanted.binary for wanted in call.outputs] == [True, False]


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        (_input(datatype="FLOAT"), "inputs.x: the datatype FLOAT does not exist; there are BOOL, INT8"),
        (_input(shape=[-1]), "inputs.x: shape must not hold a negative number"),
        (_input(shape=[1] * 33), "inputs.x: shape must have at most 32 dimensions"),
        (_input(shape=[0, 2**41]), "inputs.x: shape is larger than any tensor here"),
        (_input(shape=[1.5]), "Expected `int`, got `float` - at `$.inputs[0].shape[0]`"),
        (_without_data(), "inputs.x: data is missing, and so is the parameter binary_data_size"),
        (_input(parameters={"binary_data_size": 8}), "inputs.x: has data in JSON and binary_data_size"),
        (_input(parameters={"deep": {}}), "at `$.inputs[0].parameters[...]`"),
        (_input(parameters={"shared_memory_region": "r"}), "inputs.x.parameters.shared_memory_region is not accepted"),
        (_binary(True), "inputs.x: binary_data_size must be a whole number of bytes"),
        (_binary(-8), "inputs.x: binary_data_size must be a whole number of bytes"),
        (_binary(7), "inputs.x: binary_data_size is 7, but only 0 bytes are left behind the JSON"),
    ],
)
def test_a_wrong_input_is_named_with_the_rule_it_breaks(sent: dict[str, Any], told: str) -> None:
    assert told in _refusal(_body(sent))


def test_bytes_that_are_not_what_a_shape_takes_are_refused() -> None:
    header = _body(_binary(7))
    told = _refusal(header + b"1234567", str(len(header)).encode())
    assert told == "inputs.x: 7 bytes of data, but FP32 of shape [2] takes 8"


def test_bytes_that_belong_to_no_tensor_are_refused() -> None:
    header = _body(_binary(8))
    told = _refusal(header + b"123456789", str(len(header)).encode())
    assert told == "the inputs' binary_data_size add up to 8 bytes, but 9 follow the JSON"


@pytest.mark.parametrize("header_length", [b"", b"0", b"-1", b"x", b"999", b"9" * 30, "١".encode()])
def test_a_header_length_that_is_none_of_this_body_is_refused(header_length: bytes) -> None:
    assert "Inference-Header-Content-Length must be a number of bytes" in _refusal(_body(_input()), header_length)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_json_does_not_have_is_refused_with_the_tensor_that_holds_it(word: str) -> None:
    body = _body(_input(), _input(name="age")).replace(b"[1.5, 2]}]", b"[1.5, %b]}]" % word.encode())
    assert _refusal(body).startswith("inputs.age: NaN and Infinity are no numbers in JSON")


def test_a_text_that_says_nan_is_not_taken_for_the_number() -> None:
    assert _refusal(_body(_input(name="NaN"))[:-1]).startswith("the body is not valid JSON")
    assert _refusal(b'{"inputs": [], "id": NaN, }').startswith("the body is not valid JSON")
    assert _refusal(b'{"inputs": [], "id": NaN}').startswith("the body is not valid JSON")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "the body is not valid JSON: it is empty"),
        (b"[]", "the body is not an inference request: Expected `object`, got `array`"),
        (b"{}", "Object missing required field `inputs`"),
        (b'{"inputs": [', "the body is not valid JSON"),
        (b'{"inputs": [], "id": "\xff"}', "the body is not valid JSON"),
        (b'{"inputs": [{"name": "x", "shape": [], "datatype": "FP32", "data": ' + b"[" * 10_000, "the body is"),
        (_body(_input(), _input()), "inputs: x appears more than once"),
        (_body(_input(), outputs=[{"name": "y"}] * 2), "outputs: y appears more than once"),
        (_body(_input(), id="i" * 513), "id must have at most 512 characters"),
        (_body(*[_input()] * 1001), "a request may have at most 1000 inputs and outputs"),
        (_body(_input(), parameters={"sequence_id": 4}), "parameters.sequence_id is not accepted by this gateway"),
        (_body(_input(), parameters={"binary_data_output": 1}), "parameters.binary_data_output must be true or false"),
        (
            _body(_input(), outputs=[{"name": "y", "parameters": {"shared_memory_region": "r"}}]),
            "outputs.y.parameters.shared_memory_region is not accepted",
        ),
    ],
)
def test_a_body_that_is_no_request_is_refused_with_the_reason(body: bytes, told: str) -> None:
    assert told in _refusal(body)


SIGNATURE = Signature(
    inputs=(TensorSpec("x", "FP32", ("n", 2)), TensorSpec("s", "BYTES", ("n",)), TensorSpec("any", "INT64", (-1,))),
    outputs=(TensorSpec("y", "FP32", ("n",)),),
)
X = _input(shape=[3, 2], data=[])
S = _input(name="s", shape=[3], datatype="BYTES", data=[])
ANY = _input(name="any", shape=[9], datatype="INT64", data=[])


def test_a_request_that_is_as_the_model_declares_passes_the_check() -> None:
    infer.check(infer.parse(_body(S, X, ANY, outputs=[{"name": "y"}]), None), SIGNATURE)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ((X, S), "inputs.any: missing; the model needs it"),
        ((X, S, ANY, _input(name="z")), "inputs.z: the model has no such input; it has x, s, any"),
        ((X | {"datatype": "FP64"}, S, ANY), "inputs.x: datatype is FP64, the model takes FP32"),
        ((X | {"shape": [3]}, S, ANY), "inputs.x: shape is [3], the model takes [-1, 2] (-1 is any)"),
        ((X | {"shape": [3, 4]}, S, ANY), "inputs.x: shape is [3, 4], the model takes [-1, 2] (-1 is any)"),
        ((X, S | {"shape": [4]}, ANY), "inputs.s: 4 rows, but inputs.x has 3"),
    ],
)
def test_what_the_model_does_not_declare_is_refused(inputs: tuple[dict[str, Any], ...], told: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        infer.check(infer.parse(_body(*inputs), None), SIGNATURE)
    assert refused.value.message == told


def test_an_output_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"outputs.z: the model has no such output; it has y"):
        infer.check(infer.parse(_body(X, S, ANY, outputs=[{"name": "z"}]), None), SIGNATURE)


def test_an_output_cannot_be_had_as_classes() -> None:
    """Left unread, it would answer something else than was asked for."""
    wanted = {"name": "y", "parameters": {"classification": 3}}
    with pytest.raises(InvalidRequest, match=r"outputs\.y\.parameters.classification is not offered"):
        infer.check(infer.parse(_body(X, S, ANY, outputs=[wanted]), None), SIGNATURE)


def test_what_a_server_of_the_protocol_is_sent_reads_as_what_came() -> None:
    header = _body(_binary(8), _input(name="j"), id="7", parameters={"own": True}, outputs=[{"name": "y"}], unknown=1)
    call = infer.parse(header + b"12345678", str(len(header)).encode())
    body, length = infer.outgoing(call)
    assert length is not None
    assert body[length:] == b"12345678"
    again = infer.parse(body, str(length).encode())
    assert again == call
    body, length = infer.outgoing(infer.parse(_body(_input()), None))
    assert length is None
    assert json.loads(body) == {"inputs": [_input()]}


def test_a_parameter_that_stands_in_a_body_twice_reaches_no_server_with_the_value_that_was_not_checked() -> None:
    body = b'{"inputs": [], "parameters": {"sequence_id": 1}, "parameters": {"own": 1}}'
    assert b"sequence_id" not in infer.outgoing(infer.parse(body, None))[0]


def test_values_read_elsewhere_are_written_as_json() -> None:
    tensor = infer.Tensor("x", "FP32", (2,), [1.0, None])
    body, length = infer.outgoing(infer.InferCall("", (tensor,), (), True))
    assert length is None
    assert json.loads(body)["inputs"][0]["data"] == [1.0, None]

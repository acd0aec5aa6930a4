from __future__ import annotations

import json
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest, UpstreamProtocol
from gateway.wire.infer import answer as infer_answer
from gateway.wire.infer import data as infer_data
from gateway.wire.infer import grpc as infer_grpc
from gateway.wire.infer import protobuf as messages
from gateway.wire.infer import request as infer
from gateway.wire.infer.grpc import METHODS, Asked

INFER = METHODS["ModelInfer"]


def request(**fields: Any) -> Any:
    return messages.ModelInferRequest(model_name="m", **fields)


def asked(message: Any) -> tuple[Asked, infer.InferCall]:
    found = INFER.ask(message.SerializeToString())
    assert found.json_length is not None
    return found, infer.parse(found.body, b"%d" % found.json_length)


def refused(message: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        INFER.ask(message.SerializeToString())
    return caught.value


def test_raw_tensors_become_the_binary_extension_byte_for_byte() -> None:
    data = struct.pack("<2f", 1.5, float("nan"))
    message = request(model_version="3", id="a", raw_input_contents=[data])
    message.inputs.add(name="x", datatype="FP32", shape=[1, 2])
    found, call = asked(message)
    assert (found.method, found.path) == (b"POST", b"/v2/models/m/versions/3/infer")
    (tensor,) = call.inputs
    assert (call.id, tensor.name, tensor.datatype, tensor.shape) == ("a", "x", "FP32", (1, 2))
    assert isinstance(tensor.data, memoryview)
    assert bytes(tensor.data) == data


@pytest.mark.parametrize(
    ("datatype", "field", "values", "packed"),
    [
        ("BOOL", "bool_contents", [True, False], b"\1\0"),
        ("INT8", "int_contents", [1, -1], b"\1\xff"),
        ("UINT16", "uint_contents", [258, 0], b"\2\1\0\0"),
        ("INT64", "int64_contents", [-1, 1], struct.pack("<2q", -1, 1)),
        ("UINT64", "uint64_contents", [2**64 - 1, 1], struct.pack("<2Q", 2**64 - 1, 1)),
        ("FP32", "fp32_contents", [0.5, 2.0], struct.pack("<2f", 0.5, 2.0)),
        ("FP64", "fp64_contents", [0.1, 2.0], struct.pack("<2d", 0.1, 2.0)),
    ],
)
def test_typed_contents_become_the_same_bytes(datatype: str, field: str, values: list[Any], packed: bytes) -> None:
    message = request()
    tensor = message.inputs.add(name="x", datatype=datatype, shape=[2])
    getattr(tensor.contents, field).extend(values)
    _, call = asked(message)
    data = call.inputs[0].data
    assert isinstance(data, memoryview)
    assert bytes(data) == packed


@given(st.lists(st.text(max_size=20), max_size=8))
def test_texts_arrive_as_they_were_sent(texts: list[str]) -> None:
    message = request()
    tensor = message.inputs.add(name="t", datatype="BYTES", shape=[len(texts)])
    tensor.contents.bytes_contents.extend(text.encode() for text in texts)
    _, call = asked(message)
    assert infer_data.texts(call.inputs[0]) == texts


def test_parameters_and_outputs_are_passed_on() -> None:
    message = request()
    message.parameters["trace"].string_param = "t"
    message.parameters["deep"].double_param = 0.5
    message.inputs.add(name="x", datatype="FP32", shape=[0])
    message.outputs.add(name="y").parameters["classification"].int64_param = 2
    _, call = asked(message)
    assert call.parameters == {"trace": "t", "deep": 0.5, "binary_data_output": True}
    assert [(output.name, output.binary, output.parameters) for output in call.outputs] == [
        ("y", True, {"classification": 2})
    ]


def test_what_cannot_be_said_is_refused_by_name() -> None:
    assert "the model's name" in refused(messages.ModelInferRequest()).message
    two = request(raw_input_contents=[b"", b""])
    two.inputs.add(name="x", datatype="FP32", shape=[0])
    assert "2 entries for 1 inputs" in refused(two).message
    both = request(raw_input_contents=[b""])
    both.inputs.add(name="x", datatype="FP32", shape=[0]).contents.fp32_contents.append(1)
    assert refused(both).param == "inputs.x"
    wrong = request()
    wrong.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp64_contents.append(1)
    assert "held by fp32_contents, not by fp64_contents" in refused(wrong).message
    half = request()
    half.inputs.add(name="x", datatype="FP16", shape=[1])
    assert "raw_input_contents" in refused(half).message
    large = request()
    large.inputs.add(name="x", datatype="INT8", shape=[1]).contents.int_contents.append(300)
    assert "out of range for INT8" in refused(large).message


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(sent: bytes) -> None:
    for method in METHODS.values():
        try:
            assert isinstance(method.ask(sent), Asked)
        except InvalidRequest:
            pass


def test_an_answer_in_binary_is_copied_and_one_in_json_is_packed() -> None:
    outputs = [
        infer_answer.Output("p", "FP32", (1, 2), struct.pack("<2f", 0.25, 0.75)),
        infer_answer.Output("label", "BYTES", (1,), infer_answer.texts(["yes"])),
        infer_answer.Output("n", "INT64", (1, 2), [1, 2]),
        infer_answer.Output("maybe", "FP64", (1,), [None]),
    ]
    body, length = infer_answer.render("m", "3", "id-1", outputs)
    answer = messages.ModelInferResponse.FromString(INFER.answer(body, length))
    assert (answer.model_name, answer.model_version, answer.id) == ("m", "3", "id-1")
    assert [(output.name, output.datatype, list(output.shape)) for output in answer.outputs] == [
        ("p", "FP32", [1, 2]),
        ("label", "BYTES", [1]),
        ("n", "INT64", [1, 2]),
        ("maybe", "FP64", [1]),
    ]
    raw = answer.raw_output_contents
    assert raw[:3] == [struct.pack("<2f", 0.25, 0.75), b"\3\0\0\0yes", struct.pack("<2q", 1, 2)]
    assert struct.unpack("<d", raw[3])[0] != struct.unpack("<d", raw[3])[0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"outputs":[{"name":"x"}]}',
        b'{"outputs":[{"name":"x","datatype":"INT8","shape":[1],"data":["a"]}]}',
    ],
)
def test_an_answer_of_another_protocol_is_the_backends_fault(body: bytes) -> None:
    with pytest.raises(UpstreamProtocol):
        INFER.answer(body, None)


def test_the_other_methods_ask_and_answer_what_their_names_say() -> None:
    name = messages.ModelRequest(name="a/b", version="1").SerializeToString()
    paths = {
        method: METHODS[method].ask(name if method.startswith("Model") else b"").path
        for method in METHODS
        if method != "ModelInfer"
    }
    assert paths == {
        "ServerLive": b"/v2/health/live",
        "ServerReady": b"/v2/health/ready",
        "ServerMetadata": b"/v2",
        "ModelReady": b"/v2/models/a%2Fb/versions/1/ready",
        "ModelMetadata": b"/v2/models/a%2Fb/versions/1",
    }
    live = METHODS["ServerLive"].answer(b'{"live":true}', None)
    assert messages.ServerLiveResponse.FromString(live).live
    server = messages.ServerMetadataResponse.FromString(
        METHODS["ServerMetadata"].answer(infer_answer.server("1.2"), None)
    )
    assert (server.name, server.version, list(server.extensions)) == ("lockgate", "1.2", list(infer_answer.EXTENSIONS))
    spec = infer.TensorSpec("x", "FP32", (-1, 4))
    told = infer_answer.model("m", ["1", "2"], infer.Signature((spec,), (spec,)))
    model = messages.ModelMetadataResponse.FromString(METHODS["ModelMetadata"].answer(told, None))
    assert (model.name, list(model.versions), model.platform) == ("m", ["1", "2"], infer_answer.PLATFORM)
    assert (model.inputs[0].name, list(model.outputs[0].shape)) == ("x", [-1, 4])


def test_an_errors_message_is_read_from_its_body_or_stated() -> None:
    assert infer_grpc.message(msgspec.json.encode({"error": "no"})) == "no"
    assert infer_grpc.message(json.dumps({"code": 1}).encode()) == "the request failed"

from __future__ import annotations

from google.protobuf import descriptor_pb2

from gateway.wire.infer import protobuf as infer_messages


def test_every_message_is_there_with_its_fields_and_numbers() -> None:
    described = descriptor_pb2.FileDescriptorProto()
    infer_messages.ModelInferRequest.DESCRIPTOR.file.CopyToProto(described)
    found = {message.name: {field.name: field.number for field in message.field} for message in described.message_type}
    assert found["ModelInferRequest"] == {
        "model_name": 1,
        "model_version": 2,
        "id": 3,
        "parameters": 4,
        "inputs": 5,
        "outputs": 6,
        "raw_input_contents": 7,
    }
    assert found["ModelInferResponse"]["raw_output_contents"] == 6
    assert found["InferTensorContents"]["bytes_contents"] == 8


def test_a_message_survives_its_own_bytes_maps_and_choices_included() -> None:
    request = infer_messages.ModelInferRequest(model_name="m")
    tensor = request.inputs.add(name="x", datatype="INT8", shape=[2])
    tensor.parameters["flag"].bool_param = False
    tensor.contents.int_contents.extend([1, -1])
    again = infer_messages.ModelInferRequest.FromString(request.SerializeToString())
    assert again == request
    assert again.inputs[0].parameters["flag"].WhichOneof("parameter_choice") == "bool_param"

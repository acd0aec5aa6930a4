"""The messages of the Open Inference Protocol v2 over gRPC (`inference.GRPCInferenceService`), as protobuf classes.

Built here from a table, so that any protobuf runtime reads them: generated code asks for the runtime of its own
generator or a newer one, which a client library in the same process may not allow. The package is ours for the same
reason; messages travel without its name. Names and numbers of fields are the protocol's, and what the gateway does not
read is left out.

Source: the protocol's "open_inference_grpc.proto", as KServe and Triton have it.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE: Final = "lockgate.inference"

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "bool": _Field.TYPE_BOOL,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "uint32": _Field.TYPE_UINT32,
    "uint64": _Field.TYPE_UINT64,
    "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
}
_PARAMETERS: Final = "InferParameter"

_TENSOR: Final = "1 name string, 2 datatype string, 3 shape int64*"
_MESSAGES: Final = {
    "Empty": "",
    "ServerLiveResponse": "1 live bool",
    "ServerReadyResponse": "1 ready bool",
    "ServerMetadataResponse": "1 name string, 2 version string, 3 extensions string*",
    "ModelRequest": "1 name string, 2 version string",
    "ModelReadyResponse": "1 ready bool",
    "TensorMetadata": _TENSOR,
    "ModelMetadataResponse": (
        "1 name string, 2 versions string*, 3 platform string, 4 inputs TensorMetadata*, 5 outputs TensorMetadata*"
    ),
    "InferParameter": (
        "1 bool_param bool|, 2 int64_param int64|, 3 string_param string|, 4 double_param double|, "
        "5 uint64_param uint64|"
    ),
    "InferTensorContents": (
        "1 bool_contents bool*, 2 int_contents int32*, 3 int64_contents int64*, 4 uint_contents uint32*, "
        "5 uint64_contents uint64*, 6 fp32_contents float*, 7 fp64_contents double*, 8 bytes_contents bytes*"
    ),
    "InferInputTensor": f"{_TENSOR}, 4 parameters map, 5 contents InferTensorContents",
    "InferRequestedOutputTensor": "1 name string, 2 parameters map",
    "ModelInferRequest": (
        "1 model_name string, 2 model_version string, 3 id string, 4 parameters map, 5 inputs InferInputTensor*, "
        "6 outputs InferRequestedOutputTensor*, 7 raw_input_contents bytes*"
    ),
    "InferOutputTensor": f"{_TENSOR}, 4 parameters map, 5 contents InferTensorContents",
    "ModelInferResponse": (
        "1 model_name string, 2 model_version string, 3 id string, 4 parameters map, 5 outputs InferOutputTensor*, "
        "6 raw_output_contents bytes*"
    ),
}
"""Message → its fields as "number name type"; `*` repeats, `|` is a case of the message's one `oneof`, `map` is a map
from string to InferParameter."""


def _described() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="lockgate/inference.proto", package=PACKAGE, syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for words in filter(None, fields.split(", ")):
            number, field_name, kind = words.split(" ")
            field = message.field.add(name=field_name, number=int(number), label=_Field.LABEL_OPTIONAL)
            if kind.endswith("|"):
                if not message.oneof_decl:
                    message.oneof_decl.add(name="parameter_choice")
                field.oneof_index = 0
            elif kind.endswith("*"):
                field.label = _Field.LABEL_REPEATED
            kind = kind.rstrip("*|")
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
                continue
            field.type = _Field.TYPE_MESSAGE
            if kind != "map":
                field.type_name = f".{PACKAGE}.{kind}"
                continue
            entry = message.nested_type.add(name="ParametersEntry")
            entry.options.map_entry = True
            entry.field.add(name="key", number=1, type=_Field.TYPE_STRING, label=_Field.LABEL_OPTIONAL)
            entry.field.add(
                name="value",
                number=2,
                type=_Field.TYPE_MESSAGE,
                label=_Field.LABEL_OPTIONAL,
                type_name=f".{PACKAGE}.{_PARAMETERS}",
            )
            field.label = _Field.LABEL_REPEATED
            field.type_name = f".{PACKAGE}.{name}.ParametersEntry"
    return file


_pool: Final = descriptor_pool.DescriptorPool()
_pool.Add(_described())


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))


Empty: Final = _class("Empty")
ServerLiveResponse: Final = _class("ServerLiveResponse")
ServerReadyResponse: Final = _class("ServerReadyResponse")
ServerMetadataResponse: Final = _class("ServerMetadataResponse")
ModelRequest: Final = _class("ModelRequest")
ModelReadyResponse: Final = _class("ModelReadyResponse")
ModelMetadataResponse: Final = _class("ModelMetadataResponse")
ModelInferRequest: Final = _class("ModelInferRequest")
ModelInferResponse: Final = _class("ModelInferResponse")

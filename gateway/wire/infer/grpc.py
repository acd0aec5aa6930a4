"""The Open Inference Protocol v2 over gRPC, said in its HTTP form: each call becomes the HTTP request that asks the
same, its answer is written as the call's.

So a call over gRPC passes the very same steps as one over HTTP, tensors in the binary extension both ways: a tensor's
bytes are the same in both forms and are copied, not converted.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import msgspec
from google.protobuf.message import DecodeError

from gateway.errors import InvalidRequest, UpstreamProtocol
from gateway.wire.body import shown
from gateway.wire.infer import paths as infer_paths
from gateway.wire.infer import protobuf as messages
from gateway.wire.infer.paths import Action

SERVICE: Final = "inference.GRPCInferenceService"

STATUS: Final[Mapping[int, str]] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "RESOURCE_EXHAUSTED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""HTTP status → gRPC's word. Source: gRPC's "Status codes and their use in gRPC", and google.rpc.Code for the rest."""

_FIELDS: Final = {
    "BOOL": ("bool_contents", "?"),
    "INT8": ("int_contents", "b"),
    "INT16": ("int_contents", "h"),
    "INT32": ("int_contents", "i"),
    "INT64": ("int64_contents", "q"),
    "UINT8": ("uint_contents", "B"),
    "UINT16": ("uint_contents", "H"),
    "UINT32": ("uint_contents", "I"),
    "UINT64": ("uint64_contents", "Q"),
    "FP32": ("fp32_contents", "f"),
    "FP64": ("fp64_contents", "d"),
}
"""Datatype → the field of InferTensorContents that holds it, and `struct`'s letter for an element."""

_encode: Final = msgspec.json.Encoder().encode


class Asked(msgspec.Struct, frozen=True):
    """A call as an HTTP request."""

    method: bytes
    path: bytes
    body: bytes = b""
    json_length: int | None = None


class Method(msgspec.Struct, frozen=True):
    """One method of the service: `ask` its message's bytes, `answer` with the HTTP answer's body and the length of its
    JSON. `ask` raises InvalidRequest."""

    ask: Callable[[bytes], Asked]
    answer: Callable[[bytes, int | None], bytes]


class _Binary(msgspec.Struct):
    binary_data_size: int | None = None


class _Output(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    parameters: _Binary | None = None
    data: list[Any] | None = None


class _Answer(msgspec.Struct):
    model_name: str = ""
    model_version: str = ""
    id: str = ""
    outputs: list[_Output] = []


class _Error(msgspec.Struct):
    error: str


_decode_answer: Final = msgspec.json.Decoder(_Answer).decode
_decode_error: Final = msgspec.json.Decoder(_Error).decode
_decode: Final = msgspec.json.Decoder().decode


def message(body: bytes) -> str:
    """What an error's body says."""
    try:
        return _decode_error(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "the request failed"


def _ask_infer(sent: bytes) -> Asked:
    request = _read(messages.ModelInferRequest, sent)
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise InvalidRequest(
            f"raw_input_contents has {len(raw)} entries for {len(request.inputs)} inputs: one for each, in order",
            param="raw_input_contents",
        )
    inputs, parts = [], [b""]
    for index, tensor in enumerate(request.inputs):
        where = f"inputs.{shown(tensor.name)}"
        if raw and tensor.HasField("contents"):
            raise InvalidRequest(f"{where}: has contents beside raw_input_contents: one of them", param=where)
        data = raw[index] if raw else _packed(tensor.datatype, tensor.contents, where)
        parts.append(data)
        parameters = {**_parameters(tensor.parameters), "binary_data_size": len(data)}
        shape = list(tensor.shape)
        inputs.append({"name": tensor.name, "datatype": tensor.datatype, "shape": shape, "parameters": parameters})
    outputs = [{"name": output.name, "parameters": _parameters(output.parameters)} for output in request.outputs]
    header: dict[str, object] = {
        "id": request.id,
        "parameters": {**_parameters(request.parameters), "binary_data_output": True},
        "inputs": inputs,
    }
    if outputs:
        header["outputs"] = outputs
    parts[0] = _encode(header)
    path = _path(request.model_name, request.model_version, "infer")
    return Asked(b"POST", path, b"".join(parts), len(parts[0]))


def _answer_infer(body: bytes, json_length: int | None) -> bytes:
    split = len(body) if json_length is None else json_length
    try:
        told = _decode_answer(body[:split])
        answer = messages.ModelInferResponse(model_name=told.model_name, model_version=told.model_version, id=told.id)
        at = split
        for output in told.outputs:
            answer.outputs.add(name=output.name, datatype=output.datatype, shape=output.shape)
            size = output.parameters.binary_data_size if output.parameters is not None else None
            if size is None:
                answer.raw_output_contents.append(_bytes(output.datatype, _flat(output.data or [])))
            else:
                answer.raw_output_contents.append(body[at : at + size])
                at += size
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, TypeError, struct.error):
        raise UpstreamProtocol("the backend's answer is not one of the Open Inference Protocol") from None
    return bytes(answer.SerializeToString())


def _ask_model(action: Action) -> Callable[[bytes], Asked]:
    def ask(sent: bytes) -> Asked:
        request = _read(messages.ModelRequest, sent)
        return Asked(b"GET", _path(request.name, request.version, action))

    return ask


def _ask_server(path: bytes) -> Callable[[bytes], Asked]:
    def ask(sent: bytes) -> Asked:
        _read(messages.Empty, sent)
        return Asked(b"GET", path)

    return ask


def _answer_flag(kind: Any, name: str) -> Callable[[bytes, int | None], bytes]:
    def answer(body: bytes, _: int | None) -> bytes:
        return bytes(kind(**{name: _decode(body)[name]}).SerializeToString())

    return answer


def _answer_server(body: bytes, _: int | None) -> bytes:
    return bytes(messages.ServerMetadataResponse(**_decode(body)).SerializeToString())


def _answer_model(body: bytes, _: int | None) -> bytes:
    told = _decode(body)
    kept = {name: told[name] for name in ("name", "versions", "platform") if told.get(name)}
    tensors = {
        which: [{name: tensor[name] for name in ("name", "datatype", "shape")} for tensor in told.get(which) or []]
        for which in ("inputs", "outputs")
    }
    return bytes(messages.ModelMetadataResponse(**kept, **tensors).SerializeToString())


METHODS: Final[Mapping[str, Method]] = {
    "ServerLive": Method(_ask_server(b"/v2/health/live"), _answer_flag(messages.ServerLiveResponse, "live")),
    "ServerReady": Method(_ask_server(b"/v2/health/ready"), _answer_flag(messages.ServerReadyResponse, "ready")),
    "ServerMetadata": Method(_ask_server(b"/v2"), _answer_server),
    "ModelReady": Method(_ask_model("ready"), _answer_flag(messages.ModelReadyResponse, "ready")),
    "ModelMetadata": Method(_ask_model("metadata"), _answer_model),
    "ModelInfer": Method(_ask_infer, _answer_infer),
}


def _read(kind: Any, sent: bytes) -> Any:
    try:
        return kind.FromString(sent)
    except DecodeError:
        raise InvalidRequest("the message is not one of this method's, or is cut") from None


def _path(name: str, version: str, action: Action) -> bytes:
    if not name:
        raise InvalidRequest("the model's name is missing", param="model_name")
    return infer_paths.path(name, version, action)


def _parameters(sent: Mapping[str, Any]) -> dict[str, object]:
    return {
        name: getattr(value, choice) if (choice := value.WhichOneof("parameter_choice")) else None
        for name, value in sent.items()
    }


def _packed(datatype: str, contents: Any, where: str) -> bytes:
    """A tensor's typed contents as the bytes of the binary extension."""
    field = "bytes_contents" if datatype == "BYTES" else _FIELDS.get(datatype, ("", ""))[0]
    filled = [descriptor.name for descriptor, _ in contents.ListFields()]
    if not field:
        raise InvalidRequest(
            f"{where}: {shown(datatype)} has no contents of its own: use raw_input_contents", param=where
        )
    if filled not in ([], [field]):
        raise InvalidRequest(f"{where}: {datatype} is held by {field}, not by {', '.join(filled)}", param=where)
    try:
        return _bytes(datatype, getattr(contents, field))
    except struct.error:
        raise InvalidRequest(f"{where}: a value in {field} is out of range for {datatype}", param=where) from None


def _bytes(datatype: str, values: Sequence[Any]) -> bytes:
    """Values as the bytes of the binary extension; a null of an answer in JSON is the NaN it stands for."""
    if datatype == "BYTES":
        parts: list[bytes] = []
        for value in values:
            data = value.encode() if isinstance(value, str) else value
            parts += (len(data).to_bytes(4, "little"), data)
        return b"".join(parts)
    _, letter = _FIELDS[datatype]
    if letter in "fd":
        values = [float("nan") if value is None else value for value in values]
    return struct.pack(f"<{len(values)}{letter}", *values)


def _flat(data: Iterable[Any]) -> list[Any]:
    found = list(data)
    while found and isinstance(found[0], list):
        found = list(chain.from_iterable(found))
    return found

"""Answers of the Open Inference Protocol v2: tensors in JSON or binary, what the server and its models say of
themselves, and errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.errors import GatewayError, UpstreamProtocol
from gateway.wire import errors as wire_errors
from gateway.wire.body import shown
from gateway.wire.infer import Signature

EXTENSIONS: Final = ("binary_tensor_data",)
PLATFORM: Final = "onnxruntime_onnx"
"""Triton's word for what runs here."""

_encode: Final = msgspec.json.Encoder().encode


def _error(error: GatewayError, request_id: str | None) -> bytes:
    return _encode({"error": wire_errors.message(error, request_id)})


ERRORS: Final = wire_errors.Shape(_error, _error)
"""Nothing here is streamed."""


class Output(msgspec.Struct, frozen=True):
    """An output to be sent: bytes go out in binary, a list (flat, row-major) as JSON."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: bytes | list[Any]


class Answer(msgspec.Struct, frozen=True):
    """A server's answer, read."""

    model: str
    version: str
    id: str
    outputs: tuple[Output, ...]


class _Binary(msgspec.Struct):
    binary_data_size: int | None = None


class _Output(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: _Binary | None = None
    data: list[Any] | None = None


class _Answer(msgspec.Struct, omit_defaults=True):
    model_name: str
    outputs: list[_Output]
    model_version: str = ""
    id: str = ""


_decode: Final = msgspec.json.Decoder(_Answer).decode


def render(model: str, version: str, request_id: str, outputs: Sequence[Output]) -> tuple[bytes, int | None]:
    """The body, and the length of its JSON where tensors follow it (None: it is all JSON).

    JSON has no NaN and no infinities: there they are null. Ask for binary to tell them apart.
    """
    told: list[_Output] = []
    parts: list[bytes] = [b""]
    for output in outputs:
        data = output.data
        if isinstance(data, bytes):
            parts.append(data)
            told.append(_Output(output.name, output.datatype, output.shape, _Binary(len(data))))
        else:
            told.append(_Output(output.name, output.datatype, output.shape, data=data))
    header = _encode(_Answer(model, told, version, request_id))
    if len(parts) == 1:
        return header, None
    parts[0] = header
    return b"".join(parts), len(header)


def read(body: bytes, json_length: int | None) -> Answer:
    """A server's answer. Raises UpstreamProtocol for what is none."""
    split = len(body) if json_length is None else json_length
    try:
        told = _decode(body[:split])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamProtocol("the backend's answer is not one of the Open Inference Protocol") from None
    outputs: list[Output] = []
    at = split
    for output in told.outputs:
        size = None if output.parameters is None else output.parameters.binary_data_size
        if size is None:
            data: bytes | list[Any] | None = output.data
        else:
            data = body[at : at + size] if 0 <= size <= len(body) - at else None
            at += size
        if data is None:
            raise UpstreamProtocol(f"the backend's answer has no data for its output {shown(output.name)}")
        outputs.append(Output(output.name, output.datatype, tuple(output.shape), data))
    return Answer(told.model_name, told.model_version, told.id, tuple(outputs))


def texts(elements: Sequence[str]) -> bytes:
    """BYTES in binary: each element's length in 4 bytes, little-endian, and its UTF-8."""
    parts: list[bytes] = []
    for element in elements:
        data = element.encode("utf-8", "surrogatepass")
        parts += (len(data).to_bytes(4, "little"), data)
    return b"".join(parts)


def server(version: str) -> bytes:
    """GET /v2."""
    return _encode({"name": "lockgate", "version": version, "extensions": EXTENSIONS})


def model(name: str, versions: Sequence[str], signature: Signature) -> bytes:
    """GET /v2/models/{m}[/versions/{v}]."""
    return _encode(
        {
            "name": name,
            "versions": versions,
            "platform": PLATFORM,
            "inputs": _specs(signature, "inputs"),
            "outputs": _specs(signature, "outputs"),
        }
    )


def ready(name: str) -> bytes:
    """GET /v2/models/{m}[/versions/{v}]/ready, of a model that is."""
    return _encode({"name": name, "ready": True})


def _specs(signature: Signature, which: str) -> list[dict[str, object]]:
    return [
        {
            "name": spec.name,
            "datatype": spec.datatype,
            "shape": [-1 if isinstance(size, str) else size for size in spec.shape],
        }
        for spec in getattr(signature, which)
    ]

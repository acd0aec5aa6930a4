"""Answers of the Open Inference Protocol v2: tensors in JSON or binary, what the server and its models say of
themselves, and errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.errors import GatewayError
from gateway.wire import errors as wire_errors
from gateway.wire.infer.request import Signature

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
    shape: Sequence[int]
    data: bytes | list[Any]


class _Binary(msgspec.Struct):
    binary_data_size: int


class _Output(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: Sequence[int]
    parameters: _Binary | None = None
    data: list[Any] | None = None


class _Answer(msgspec.Struct, omit_defaults=True):
    model_name: str
    model_version: str
    outputs: list[_Output]
    id: str = ""


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
    header = _encode(_Answer(model, version, told, request_id))
    if len(parts) == 1:
        return header, None
    parts[0] = header
    return b"".join(parts), len(header)


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

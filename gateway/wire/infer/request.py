"""The Open Inference Protocol v2: `POST /v2/models/{m}[/versions/{v}]/infer`, its body and its paths.

A body is JSON, or JSON followed by the bytes of tensors (the binary tensor extension), the length of the JSON then
standing in the header `Inference-Header-Content-Length`. `parse` reads what every backend has in common: names,
datatypes, shapes, and where each tensor's data lies. The data itself is read by `data`, for models that run in
this process; `outgoing` writes the request again for a server that speaks the protocol itself, so that what it reads
is what was checked here.

Source: the protocol's "required_api.md", and Triton's "extension_binary_data.md".
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire import malformed
from gateway.wire.body import shown

HEADER_LENGTH: Final = b"inference-header-content-length"
JSON_TYPE: Final = b"application/json"
BINARY_TYPE: Final = b"application/octet-stream"

SIZES: Final = {
    "BOOL": 1,
    "INT8": 1,
    "INT16": 2,
    "INT32": 4,
    "INT64": 8,
    "UINT8": 1,
    "UINT16": 2,
    "UINT32": 4,
    "UINT64": 8,
    "FP16": 2,
    "BF16": 2,
    "FP32": 4,
    "FP64": 8,
}
"""Bytes of one element, little-endian. BYTES is the one datatype more: each element a length of 4 bytes and its
bytes."""

MAX_TENSORS: Final = 1_000
"""Inputs of one request, and outputs asked for."""
MAX_DIMS: Final = 32
MAX_ELEMENTS: Final = 2**40
MAX_ID_CHARS: Final = 512

REFUSED: Final = {
    "shared_memory_region": "names memory of the server's machine, which is not the caller's",
    "shared_memory_byte_size": "the same",
    "shared_memory_offset": "the same",
    "sequence_id": "is shared by every request that names it, whoever sends it",
    "sequence_start": "begins or resets the sequence of whoever shares its id",
    "sequence_end": "ends the sequence of whoever shares its id",
    "priority": "moves a caller ahead of all others",
}
"""Parameters no caller may set, each with the reason."""

_REFUSED: Final = frozenset(REFUSED)

Parameters = dict[str, bool | int | float | str | None]


class TensorSpec(msgspec.Struct, frozen=True):
    """A tensor as a model declares it. A dimension is its size, -1 for any, or a name: any too, but inputs whose first
    dimension has one name have as many rows as each other.
    """

    name: str
    datatype: str
    shape: tuple[int | str, ...]


class Signature(msgspec.Struct, frozen=True):
    """What a model takes and gives, in its own order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class Tensor(msgspec.Struct, frozen=True):
    """An input as sent."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    data: memoryview | msgspec.Raw | list[Any]
    """The bytes of the binary extension (a view into the body), JSON not yet read, or values read elsewhere (gRPC)."""
    parameters: Parameters | None = None


class Wanted(msgspec.Struct, frozen=True):
    """An output asked for. `binary` is how it is to be answered."""

    name: str
    binary: bool
    parameters: Parameters | None = None


class InferCall(msgspec.Struct, frozen=True):
    """One request."""

    id: str
    """The caller's own, given back in the answer; "" for none."""
    inputs: tuple[Tensor, ...]
    outputs: tuple[Wanted, ...]
    """Empty: all that the model has."""
    binary: bool
    """How outputs are answered that were not asked for by name."""
    parameters: Parameters | None = None

    @property
    def rows(self) -> int:
        """The first dimension of the first input: how many things are asked about. 1 where there is none."""
        first = self.inputs[0].shape if self.inputs else ()
        return first[0] if first else 1


class _Input(msgspec.Struct, omit_defaults=True):
    name: str
    shape: tuple[int, ...]
    datatype: str
    parameters: Parameters | None = None
    data: msgspec.Raw = msgspec.Raw()


class _Output(msgspec.Struct, omit_defaults=True):
    name: str
    parameters: Parameters | None = None


class _Request(msgspec.Struct, omit_defaults=True):
    inputs: list[_Input]
    id: str | None = None
    parameters: Parameters | None = None
    outputs: list[_Output] | None = None


_decode: Final = msgspec.json.Decoder(_Request).decode
_encode: Final = msgspec.json.Encoder().encode
# Numbers that Python's JSON writers make and JSON does not have. Strings are matched too, to step over them.
_NO_NUMBER: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"|-?(?:NaN|Infinity)', re.DOTALL)


def parse(body: bytes, header_length: bytes | None) -> InferCall:
    """A request from its body and the header `Inference-Header-Content-Length` (None when not sent).

    Raises InvalidRequest naming the tensor and the rule it breaks. Binary data is not copied.
    """
    split = len(body) if header_length is None else _length(header_length, len(body))
    rest = memoryview(body)[split:]
    asked = _read(body[:split] if rest else body)
    refuse(asked.parameters, "parameters")
    if len(asked.inputs) > MAX_TENSORS or len(asked.outputs or ()) > MAX_TENSORS:
        raise InvalidRequest(f"a request may have at most {MAX_TENSORS} inputs and outputs")
    if asked.id is not None and len(asked.id) > MAX_ID_CHARS:
        raise InvalidRequest(f"id must have at most {MAX_ID_CHARS} characters", param="id")
    inputs: list[Tensor] = []
    at = 0
    for sent in asked.inputs:
        tensor, at = _tensor(sent, rest, at)
        inputs.append(tensor)
    if at != len(rest):
        raise InvalidRequest(f"the inputs' binary_data_size add up to {at} bytes, but {len(rest)} follow the JSON")
    binary = _flag(asked.parameters, "binary_data_output", "parameters", default=False)
    outputs = tuple(_wanted(output, binary) for output in asked.outputs or ())
    _once(inputs, "inputs")
    _once(outputs, "outputs")
    return InferCall(asked.id or "", tuple(inputs), outputs, binary, asked.parameters)


def outgoing(call: InferCall) -> tuple[bytes, int | None]:
    """The request for a server of this protocol: body, and the length of its JSON where tensors follow it."""
    inputs: list[_Input] = []
    parts: list[bytes | memoryview] = [b""]
    for tensor in call.inputs:
        data = tensor.data
        if isinstance(data, memoryview):
            parts.append(data)
            inputs.append(_Input(tensor.name, tensor.shape, tensor.datatype, tensor.parameters))
        else:
            raw = data if isinstance(data, msgspec.Raw) else msgspec.Raw(_encode(data))
            inputs.append(_Input(tensor.name, tensor.shape, tensor.datatype, tensor.parameters, raw))
    outputs = [_Output(output.name, output.parameters) for output in call.outputs] or None
    parts[0] = _encode(_Request(inputs, call.id or None, call.parameters, outputs))
    return b"".join(parts), len(parts[0]) if len(parts) > 1 else None


def check(call: InferCall, signature: Signature) -> None:
    """Holds names, datatypes and shapes against what a model declares. Raises InvalidRequest."""
    specs = {spec.name: spec for spec in signature.inputs}
    rows: dict[str, tuple[int, str]] = {}
    for tensor in call.inputs:
        name, shape = tensor.name, tensor.shape
        spec = specs.pop(name, None)
        if spec is None:
            names = ", ".join(each.name for each in signature.inputs)
            raise wrong_input(name, f"the model has no such input; it has {names}")
        if tensor.datatype != spec.datatype:
            raise wrong_input(name, f"datatype is {tensor.datatype}, the model takes {spec.datatype}")
        if len(shape) != len(spec.shape):
            raise _wrong_shape(tensor, spec)
        for size, known in zip(shape, spec.shape, strict=True):
            if size != known and known != -1 and not isinstance(known, str):  # noqa: PLR1714 - a tuple costs more
                raise _wrong_shape(tensor, spec)
        if shape and isinstance(spec.shape[0], str):
            count, first = rows.setdefault(spec.shape[0], (shape[0], name))
            if count != shape[0]:
                raise wrong_input(name, f"{shape[0]} rows, but inputs.{first} has {count}")
    if specs:
        raise wrong_input(next(iter(specs)), "missing; the model needs it")
    if call.outputs:
        _check_outputs(call.outputs, [spec.name for spec in signature.outputs])


def wrong_input(name: str, rule: str) -> InvalidRequest:
    """The refusal of an input, which is named, and the rule that it breaks."""
    where = f"inputs.{shown(name)}"
    return InvalidRequest(f"{where}: {rule}", param=where)


def refuse(parameters: Parameters | None, where: str) -> None:
    """Raises InvalidRequest for a parameter of `REFUSED`."""
    if parameters and not _REFUSED.isdisjoint(parameters):
        name = next(name for name in parameters if name in REFUSED)
        raise InvalidRequest(f"{where}.{name} is not accepted by this gateway", param=f"{where}.{name}")


def _flag(parameters: Parameters | None, name: str, where: str, *, default: bool) -> bool:
    """A boolean parameter. Raises InvalidRequest."""
    found = default if parameters is None else parameters.get(name, default)
    if not isinstance(found, bool):
        raise InvalidRequest(f"{where}.{name} must be true or false", param=f"{where}.{name}")
    return found


def _once(tensors: Sequence[Tensor] | Sequence[Wanted], where: str) -> None:
    """Raises InvalidRequest when two have one name."""
    if len({tensor.name for tensor in tensors}) != len(tensors):
        names = [tensor.name for tensor in tensors]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidRequest(f"{where}: {shown(twice)} appears more than once", param=f"{where}.{shown(twice)}")


def _read(header: bytes) -> _Request:
    """The JSON of a request, typed. Raises InvalidRequest; what it says holds a position or a name, never a value."""
    try:
        return _decode(header)
    except msgspec.ValidationError as wrong:
        raise InvalidRequest(f"the body is not an inference request: {wrong}") from None
    except RecursionError:
        raise InvalidRequest("the body is nested too deeply") from None
    except UnicodeDecodeError:
        raise InvalidRequest("the body is not valid JSON: a text in it is not UTF-8") from None
    except msgspec.DecodeError as error:
        reason = malformed.reason(header, error)
        holder = _holder_of_nan(header)
        if holder is not None:
            rule = "NaN and Infinity are no numbers in JSON; send null, or the tensor in binary"
            raise wrong_input(holder, rule) from None
        if not header.strip():
            reason = "it is empty"
        raise InvalidRequest(f"the body is not valid JSON: {reason}") from None


def _holder_of_nan(header: bytes) -> str | None:
    """Which input holds a bare NaN or Infinity, if that is all that is wrong with this JSON."""
    mark = b'"\\u0000NaN"'
    mended = _NO_NUMBER.sub(lambda found: found[0] if found[0][:1] == b'"' else mark, header)
    if mended == header:
        return None
    try:
        asked = _decode(mended)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    for sent in asked.inputs:
        if mark in bytes(sent.data):
            return sent.name
    return None


def _length(header_length: bytes, length: int) -> int:
    if not header_length.isdigit() or len(header_length) > 15 or not 0 < int(header_length) <= length:
        raise InvalidRequest(
            f"the header Inference-Header-Content-Length must be a number of bytes from 1 to the body's {length}",
            param="Inference-Header-Content-Length",
        )
    return int(header_length)


def _tensor(sent: _Input, rest: memoryview, at: int) -> tuple[Tensor, int]:
    name, datatype, shape, parameters = sent.name, sent.datatype, sent.shape, sent.parameters
    count = _count(sent)
    size = None
    if parameters:
        if not _REFUSED.isdisjoint(parameters):
            refuse(parameters, f"inputs.{shown(name)}.parameters")
        size = parameters.get("binary_data_size")
    if size is None:
        if not sent.data:
            raise wrong_input(name, "data is missing, and so is the parameter binary_data_size")
        return Tensor(name, datatype, shape, sent.data, parameters), at
    if sent.data:
        raise wrong_input(name, "has data in JSON and binary_data_size: one of them")
    if type(size) is not int or size < 0:
        raise wrong_input(name, "binary_data_size must be a whole number of bytes")
    end = at + size
    if end > len(rest):
        rule = f"binary_data_size is {size}, but only {len(rest) - at} bytes are left behind the JSON"
        raise wrong_input(name, rule)
    if datatype != "BYTES" and size != count * SIZES[datatype]:
        rule = f"{size} bytes of data, but {datatype} of shape {list(shape)} takes {count * SIZES[datatype]}"
        raise wrong_input(name, rule)
    return Tensor(name, datatype, shape, rest[at:end], parameters), end


def _count(sent: _Input) -> int:
    """How many elements a tensor has. Raises InvalidRequest for a datatype or a shape that none can have."""
    shape = sent.shape
    if sent.datatype not in SIZES and sent.datatype != "BYTES":
        known = ", ".join((*SIZES, "BYTES"))
        raise wrong_input(sent.name, f"the datatype {shown(sent.datatype)} does not exist; there are {known}")
    if len(shape) > MAX_DIMS:
        raise wrong_input(sent.name, f"shape must have at most {MAX_DIMS} dimensions")
    if shape and min(shape) < 0:
        raise wrong_input(sent.name, "shape must not hold a negative number")
    count = math.prod(shape)
    if (count or math.prod(filter(None, shape))) > MAX_ELEMENTS:  # also where a 0 says that there are none
        raise wrong_input(sent.name, "shape is larger than any tensor here")
    return count


def _wrong_shape(tensor: Tensor, spec: TensorSpec) -> InvalidRequest:
    declared = [-1 if isinstance(size, str) else size for size in spec.shape]
    return wrong_input(tensor.name, f"shape is {list(tensor.shape)}, the model takes {declared} (-1 is any)")


def _check_outputs(outputs: Sequence[Wanted], known: Sequence[str]) -> None:
    for wanted in outputs:
        if wanted.name not in known:
            where = f"outputs.{shown(wanted.name)}"
            raise InvalidRequest(f"{where}: the model has no such output; it has {', '.join(known)}", param=where)
        if wanted.parameters and "classification" in wanted.parameters:
            where = f"outputs.{wanted.name}.parameters.classification"
            raise InvalidRequest(f"{where} is not offered: ask for the output itself", param=where)


def _wanted(output: _Output, binary: bool) -> Wanted:
    where = f"outputs.{shown(output.name)}.parameters"
    refuse(output.parameters, where)
    return Wanted(output.name, _flag(output.parameters, "binary_data", where, default=binary), output.parameters)

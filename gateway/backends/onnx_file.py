"""What an ONNX file says of itself, read without ONNX Runtime: format, opsets, who made it, and files beside it.

The runtime refuses a file that is cut or is something else with a sentence about protobuf; this finds out which of the
two it is. Only the outermost fields and the weights' places are read, so a file of a gigabyte takes no longer.

Source: onnx.proto of ONNX 1.19 (field numbers), and the encoding of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from msgspec import Struct

from gateway.config.units import shown
from gateway.errors import ConfigError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_STRING = 8
"""Texts, among the kinds of a tensor's elements."""


class Head(Struct, frozen=True):
    """`opsets` is by domain (`ai.onnx` for the default one); `external` are the files that hold weights, relative to
    the model's own; `texts` are the inputs and outputs that hold texts."""

    ir_version: int
    opsets: Mapping[str, int]
    producer: str
    external: tuple[str, ...]
    texts: tuple[str, ...] = ()


class _Broken(Exception):
    """Bytes that are no protocol buffer; `missing` is how many a field still wanted, 0 if that is not what is
    wrong."""

    def __init__(self, missing: int = 0) -> None:
        super().__init__()
        self.missing = missing


def read_head(data: bytes, name: str) -> Head:
    """What the file `name` (for messages) says. Raises ConfigError for one that is cut or is not ONNX, and for one
    that asks for files outside its own folder."""
    try:
        return _head(memoryview(data), name)
    except _Broken as broken:
        if broken.missing and data[:1] == b"\x08":  # as every writer begins: with the version of the format
            raise ConfigError(f"{name}: this file is cut: {broken.missing} bytes or more are missing") from None
    except UnicodeDecodeError:
        pass
    raise ConfigError(f"{name}: this is no ONNX file{_what_else(data)}")


def _head(data: memoryview, name: str) -> Head:
    ir_version, producer, opsets, external, graphs = 0, ["", ""], {}, dict[str, None](), 0
    texts: list[str] = []
    for number, value in _fields(data):
        match number, value:
            case 1, int():
                ir_version = value
            case ((2 | 3), memoryview()):
                producer[number - 2] = str(value, "utf-8")
            case 7, memoryview():
                graphs += 1
                external |= dict.fromkeys(_external(value))
                texts += _texts(value)
            case 8, memoryview():
                opset = dict(_fields(value))
                domain, version = opset.get(1, b""), opset.get(2, 0)
                if not isinstance(version, int) or isinstance(domain, int):
                    raise _Broken
                opsets[str(domain, "utf-8") or "ai.onnx"] = version
    if graphs > 1 or not ir_version:
        raise _Broken
    if not graphs or not opsets:  # writers put them behind what was there
        raise _Broken(missing=1)
    for path in external:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\\" in path or "\x00" in path:
            raise ConfigError(f"{name}: it asks for a file outside its folder: {shown(path)}")
    return Head(ir_version, opsets, " ".join(filter(None, producer)), tuple(external), tuple(texts))


def _external(graph: memoryview) -> Iterator[str]:
    """The files that the weights of a graph lie in."""
    for number, value in _fields(graph):
        if number != 5 or not isinstance(value, memoryview):
            continue
        for part, entry in _fields(value):
            if part == 13 and isinstance(entry, memoryview):
                pair = {key: bytes(word) for key, word in _fields(entry) if isinstance(word, memoryview)}
                if pair.get(1) == b"location":
                    yield pair.get(2, b"").decode()


def _texts(graph: memoryview) -> Iterator[str]:
    """The inputs and outputs of a graph that are tensors of texts."""
    for number, value in _fields(graph):
        if number in (11, 12) and isinstance(value, memoryview):
            declared = _members(value)
            tensor = _members(_members(declared.get(2)).get(1))
            if tensor.get(1) == _STRING:
                yield str(declared.get(1, b""), "utf-8")  # type: ignore[arg-type]


def _members(message: int | memoryview | None) -> dict[int, int | memoryview]:
    """The fields of a message that is one of another's; none where there is none."""
    return dict(_fields(message)) if isinstance(message, memoryview) else {}


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field, in order; a value of fixed size is left as bytes."""
    at, end = 0, len(data)
    while at < end:
        key, at = _varint(data, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield number, value
            continue
        if kind == _BYTES:
            size, at = _varint(data, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise _Broken
        if number == 0:
            raise _Broken
        if at + size > end:
            raise _Broken(at + size - end)
        yield number, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for index in range(10):
        if at + index >= len(data):
            raise _Broken(1)
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise _Broken


def _what_else(data: bytes) -> str:
    if not data:
        return ", it is empty"
    if data.startswith(b"version https://git-lfs"):
        return " but a pointer of Git LFS: fetch the file itself (git lfs pull)"
    if data.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        return " but a pickle, which is never loaded: it could run anything"
    if data.startswith(b"PK"):
        return " but a zip archive (or a PyTorch file): export the model to ONNX"
    return ""

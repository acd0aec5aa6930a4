"""The data of an input as Python values: JSON, nested or flat, and the binary form of BYTES.

Every other binary tensor needs no reading: its bytes are the array. Nulls are kept, as None: what one means is said by
the model's schema. Nothing here looks at a single value but to find which one is wrong.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import chain
from math import prod
from types import NoneType
from typing import Any, Final

import msgspec

from gateway.wire import malformed
from gateway.wire.infer.request import Tensor, wrong_input

_decode: Final = msgspec.json.Decoder(list[Any]).decode
_length: Final = struct.Struct("<I").unpack_from

_WHOLE: Final = (frozenset((int, NoneType)), "whole numbers")
_NUMBERS: Final = (frozenset((int, float, NoneType)), "numbers")
_TYPES: Final = {
    "BOOL": (frozenset((bool, NoneType)), "true and false"),
    "BYTES": (frozenset((str, NoneType)), "texts"),
    "FP16": _NUMBERS,
    "FP32": _NUMBERS,
    "FP64": _NUMBERS,
}
_NAMES: Final = {
    str: "a text",
    bool: "a boolean",
    list: "an array",
    dict: "an object",
    float: "a fraction",
    int: "a number",
}


def values(tensor: Tensor) -> tuple[list[Any], bool]:
    """The elements of a tensor that came as values, in row-major order, and whether a null is among them.

    Raises InvalidRequest naming the tensor, the element (from 0, in row-major order) and the rule.
    """
    name, shape, data = tensor.name, tensor.shape, tensor.data
    assert not isinstance(data, memoryview)
    found = _flat(_read(name, data) if isinstance(data, msgspec.Raw) else data, shape, name)
    count = prod(shape)
    if len(found) != count:
        raise wrong_input(name, f"{len(found)} elements of data, but shape {list(shape)} takes {count}")
    allowed, named = _TYPES.get(tensor.datatype, _WHOLE)
    types = set(map(type, found))
    if not types <= allowed:
        index, wrong = next((index, value) for index, value in enumerate(found) if type(value) not in allowed)
        told = "NaN or Infinity as a text" if wrong in ("NaN", "Infinity", "-Infinity") else _NAMES[type(wrong)]
        raise wrong_input(name, f"element {index} is {told}; {tensor.datatype} takes {named} (or null)")
    return found, NoneType in types


def elements(tensor: Tensor) -> list[str | None]:
    """The elements of a BYTES tensor, however it came, nulls as None. Raises InvalidRequest as `values` and `texts`."""
    return [*texts(tensor)] if isinstance(tensor.data, memoryview) else values(tensor)[0]


def texts(tensor: Tensor) -> list[str]:
    """The elements of a binary BYTES tensor. Raises InvalidRequest for lengths that do not add up, and for what is not
    UTF-8: models that run here take text, and so do checks.
    """
    assert isinstance(tensor.data, memoryview)
    data = bytes(tensor.data)
    count = prod(tensor.shape)
    found: list[str] = []
    try:
        end = _ascii(data, count, found) if data.isascii() else _utf_8(data, count, found)
    except UnicodeDecodeError:
        raise wrong_input(tensor.name, f"element {len(found)} is not UTF-8, as texts are here") from None
    except struct.error:  # no length where one must be
        end = -1
    if end != len(data):
        rule = f"{len(data)} bytes do not make the {count} elements of shape {list(tensor.shape)}"
        raise wrong_input(tensor.name, f"{rule}: each is its length in 4 bytes and then as many bytes")
    return found


def _ascii(data: bytes, count: int, found: list[str]) -> int:
    """Appends `count` texts and returns where the last one ends: maybe behind the data, with less of it than there
    should be. Raises struct.error where the data ends before.
    """
    text = data.decode("ascii")  # once: a part of it costs less than decoding a part of the bytes
    at = 0
    for _ in range(count):
        begin = at + 4
        at = begin + _length(data, at)[0]
        found.append(text[begin:at])
    return at


def _utf_8(data: bytes, count: int, found: list[str]) -> int:
    """The same for any text. Raises UnicodeDecodeError too."""
    at = 0
    for _ in range(count):
        begin = at + 4
        at = begin + _length(data, at)[0]
        found.append(data[begin:at].decode())
    return at


def _read(name: str, raw: msgspec.Raw) -> list[Any]:
    if bytes(memoryview(raw)[:1]) != b"[":
        raise wrong_input(name, "data must be an array")
    try:
        return _decode(raw)
    except msgspec.DecodeError as error:
        raise wrong_input(name, f"data cannot be read: {malformed.reason(bytes(raw), error)}") from None
    except UnicodeDecodeError:
        raise wrong_input(name, "data holds a text that is not UTF-8") from None
    except RecursionError:
        raise wrong_input(name, "data is nested too deeply") from None


def _flat(found: list[Any], shape: Sequence[int], name: str) -> list[Any]:
    """Nested arrays as one, where they nest as the shape says; an array without arrays as it is."""
    if not found or type(found[0]) is not list:
        return found
    level = found
    if shape and len(level) == shape[0]:
        for size in shape[1:]:
            if set(map(type, level)) - {list} or set(map(len, level)) - {size}:
                break
            level = list(chain.from_iterable(level))
        else:
            return level
    raise wrong_input(name, f"data does not nest as its shape {list(shape)} says")

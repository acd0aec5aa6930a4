"""The data of an input as Python values: JSON, nested or flat, and the binary form of BYTES.

Every other binary tensor needs no reading: its bytes are the array. Nulls are kept, as None: what one means is said by
the model's schema. Nothing here looks at a single value but to find which one is wrong.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from itertools import chain
from types import NoneType
from typing import Any, Final

import msgspec

from gateway.errors import InvalidRequest
from gateway.wire.body import shown
from gateway.wire.infer import Tensor

_decode: Final = msgspec.json.Decoder(list[Any]).decode
_read_length: Final = struct.Struct("<I").unpack_from

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
    where = f"inputs.{shown(tensor.name)}"
    data = tensor.data
    assert not isinstance(data, memoryview)
    found = _flat(_read(where, data) if isinstance(data, msgspec.Raw) else data, tensor.shape, where)
    count = math.prod(tensor.shape)
    if len(found) != count:
        message = f"{where}: {len(found)} elements of data, but shape {list(tensor.shape)} takes {count}"
        raise InvalidRequest(message, param=where)
    allowed, named = _TYPES.get(tensor.datatype, _WHOLE)
    types = set(map(type, found))
    if not types <= allowed:
        index, wrong = next((index, value) for index, value in enumerate(found) if type(value) not in allowed)
        told = "NaN or Infinity as a text" if wrong in ("NaN", "Infinity", "-Infinity") else _NAMES[type(wrong)]
        message = f"{where}: element {index} is {told}; {tensor.datatype} takes {named} (or null)"
        raise InvalidRequest(message, param=where)
    return found, NoneType in types


def texts(tensor: Tensor) -> list[str]:
    """The elements of a binary BYTES tensor. Raises InvalidRequest for lengths that do not add up, and for what is not
    UTF-8: models that run here take text.
    """
    where = f"inputs.{shown(tensor.name)}"
    view = tensor.data
    assert isinstance(view, memoryview)
    data = bytes(view)
    # Each element is cut out of one text where that is possible: decoding them one by one takes twice as long.
    text = data.decode("ascii") if data.isascii() else None
    count = math.prod(tensor.shape)
    found: list[str] = []
    at, size = 0, len(data)
    try:
        while len(found) < count:
            (length,) = _read_length(data, at)
            begin = at + 4
            at = begin + length
            if at > size:
                break
            found.append(data[begin:at].decode() if text is None else text[begin:at])
    except struct.error:  # less than a length is left
        at = -1
    except UnicodeDecodeError:
        raise InvalidRequest(
            f"{where}: element {len(found)} is not UTF-8, which this model takes", param=where
        ) from None
    if at != size or len(found) != count:
        message = f"{where}: {size} bytes do not make the {count} elements of shape {list(tensor.shape)}"
        raise InvalidRequest(f"{message}: each is its length in 4 bytes and then as many bytes", param=where)
    return found


def _read(where: str, raw: msgspec.Raw) -> list[Any]:
    if bytes(memoryview(raw)[:1]) != b"[":
        raise InvalidRequest(f"{where}: data must be an array", param=where)
    try:
        return _decode(raw)
    except msgspec.DecodeError as malformed:
        reason = str(malformed).removeprefix("JSON is malformed: ")
        raise InvalidRequest(f"{where}: data cannot be read: {reason}", param=where) from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{where}: data holds a text that is not UTF-8", param=where) from None
    except RecursionError:
        raise InvalidRequest(f"{where}: data is nested too deeply", param=where) from None


def _flat(found: list[Any], shape: Sequence[int], where: str) -> list[Any]:
    """Nested arrays as one, where they nest as the shape says; an array without arrays as it is."""
    if not found or type(found[0]) is not list:
        return found
    level = found
    sizes = list(shape)
    if sizes and len(level) == sizes[0]:
        for size in sizes[1:]:
            if set(map(type, level)) - {list} or set(map(len, level)) - {size}:
                break
            level = list(chain.from_iterable(level))
        else:
            return level
    raise InvalidRequest(f"{where}: data does not nest as its shape {sizes} says", param=where)

"""Tensors of the Open Inference Protocol as numpy arrays, and arrays as outputs of an answer.

Binary data is not copied: an array is a view into the request's body. Null is NaN in floating-point tensors and None
in others, whose dtype then is object; what it means is the schema's to say.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.policy.columns import DTYPES
from gateway.wire.infer import answer as infer_answer
from gateway.wire.infer import data as infer_data
from gateway.wire.infer.answer import Output
from gateway.wire.infer.request import Tensor, wrong_input

Array: TypeAlias = NDArray[Any]


def array(tensor: Tensor, *, may_hold_nulls: bool) -> Array:
    """The tensor's data in its shape. Raises InvalidRequest naming the tensor and the rule."""
    dtype = DTYPES[tensor.datatype]
    data = tensor.data
    if isinstance(data, memoryview):
        if tensor.datatype == "BYTES":
            return _objects(infer_data.texts(tensor)).reshape(tensor.shape)
        found = np.frombuffer(data, dtype)
        if not found.flags.aligned:  # the body puts it anywhere, and compiled kernels may expect whole numbers' places
            found = found.copy()
        return found.reshape(tensor.shape)
    values, nulls = infer_data.values(tensor)
    if nulls and not may_hold_nulls:
        rule = f"element {values.index(None)} is null, and no schema says what that means"
        raise wrong_input(tensor.name, rule)
    if dtype.kind == "O":
        return _objects(values).reshape(tensor.shape)
    if nulls and dtype.kind != "f":
        _fits([value for value in values if value is not None], dtype, tensor)
        return _objects(values).reshape(tensor.shape)
    return _fits(values, dtype, tensor).reshape(tensor.shape)


def output(name: str, datatype: str, found: Array, *, binary: bool) -> Output:
    """An array as an output of the answer."""
    if not binary:
        return Output(name, datatype, found.shape, found.ravel().tolist())
    data = infer_answer.texts(found.ravel().tolist()) if datatype == "BYTES" else found.tobytes()
    return Output(name, datatype, found.shape, data)


def _objects(values: list[Any]) -> Array:
    found = np.empty(len(values), np.object_)
    found[:] = values
    return found


def _fits(values: list[Any], dtype: np.dtype[Any], tensor: Tensor) -> Array:
    try:
        with np.errstate(over="ignore"):
            found = np.array(values, dtype)
    except OverflowError:
        raise wrong_input(tensor.name, f"a number does not fit {tensor.datatype}") from None
    if dtype.kind == "f" and np.isinf(found).any():  # JSON has no infinities: it was too large
        index = int(np.isinf(found).argmax())
        raise wrong_input(tensor.name, f"element {index} does not fit {tensor.datatype}")
    return found

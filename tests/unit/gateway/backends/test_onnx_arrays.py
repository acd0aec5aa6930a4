from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest

from gateway.backends import onnx_arrays
from gateway.errors import InvalidRequest
from gateway.policy.columns import DTYPES
from gateway.wire.infer.request import Tensor


def _json(values: Any, shape: tuple[int, ...], datatype: str) -> Tensor:
    return Tensor("x", datatype, shape, msgspec.Raw(json.dumps(values).encode()))


def _array(tensor: Tensor) -> onnx_arrays.Array:
    return onnx_arrays.array(tensor, may_hold_nulls=True)


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BYTES"])
def test_binary_data_is_the_array_and_comes_back_as_it_was(datatype: str) -> None:
    sent = np.array([[0, 1, 1], [1, 0, 1]]).astype(DTYPES[datatype])
    found = _array(Tensor("x", datatype, (2, 3), memoryview(sent.tobytes())))
    assert found.dtype == sent.dtype
    assert found.shape == (2, 3)
    assert (found == sent).all()
    output = onnx_arrays.output("y", datatype, found, binary=True)
    assert (output.data, output.shape) == (sent.tobytes(), (2, 3))


def test_binary_data_is_not_copied_unless_it_lies_where_no_number_may() -> None:
    data = bytearray(b"...." + np.arange(4, dtype=np.float32).tobytes() + b"...")
    start = np.frombuffer(data, np.uint8).ctypes.data
    at = -start % 4
    aligned = _array(Tensor("x", "FP32", (4,), memoryview(data)[at : at + 16]))
    assert not aligned.flags.owndata
    assert aligned.flags.aligned
    moved = _array(Tensor("x", "FP32", (4,), memoryview(data)[at + 1 : at + 17]))
    assert moved.flags.aligned


@pytest.mark.parametrize(
    ("values", "datatype", "dtype"),
    [
        ([[1, 2.5], [-3, 1e-3]], "FP32", np.float32),
        ([[1, 2.5], [-3, 0.1]], "FP64", np.float64),
        ([[1, 2], [3, -128]], "INT8", np.int8),
        ([[0, 2**64 - 1], [3, 4]], "UINT64", np.uint64),
        ([[True, False], [False, True]], "BOOL", np.bool_),
        ([["a", "ä"], ["", "\0"]], "BYTES", np.object_),
    ],
)
def test_json_becomes_an_array_and_json_again(values: Any, datatype: str, dtype: Any) -> None:
    found = _array(_json(values, (2, 2), datatype))
    assert found.dtype == dtype
    assert found.tolist() == np.array(values, dtype).tolist()
    flat = [value for row in values for value in row]
    told = onnx_arrays.output("y", datatype, found, binary=False).data
    assert told == np.array(flat, dtype).tolist()


def test_texts_come_back_in_binary_as_lengths_and_utf_8() -> None:
    sent = b"\x02\0\0\0\xc3\xa4\0\0\0\0"
    found = _array(Tensor("x", "BYTES", (2, 1), memoryview(sent)))
    assert found.tolist() == [["ä"], [""]]
    assert onnx_arrays.output("y", "BYTES", found, binary=True).data == sent


@pytest.mark.parametrize(
    ("values", "datatype"),
    [
        ([128], "INT8"),
        ([-1], "UINT32"),
        ([2**64], "UINT64"),
        ([10**400], "FP64"),
        ([0, 1e39], "FP32"),
        ([65520], "FP16"),
        ([None, 300], "UINT8"),
    ],
)
def test_a_number_that_does_not_fit_its_datatype_is_refused(values: Any, datatype: str) -> None:
    with pytest.raises(InvalidRequest, match=rf"^inputs\.x: .* does not fit {datatype}$"):
        _array(_json(values, (len(values),), datatype))


def test_a_null_is_nan_among_floats_and_none_among_others() -> None:
    found = _array(_json([1, None], (2,), "FP32"))
    assert found.dtype == np.float32
    assert np.isnan(found).tolist() == [False, True]
    for datatype, value in (("INT64", 1), ("BOOL", True), ("BYTES", "a")):
        found = _array(_json([value, None], (2,), datatype))
        assert found.dtype == np.object_
        assert found.tolist() == [value, None]


@pytest.mark.parametrize("datatype", ["FP32", "INT64", "BYTES"])
def test_a_null_that_no_schema_explains_is_refused(datatype: str) -> None:
    tensor = _json([None, None], (2,), datatype)
    with pytest.raises(InvalidRequest, match=r"inputs\.x: element 0 is null, and no schema says what that means"):
        onnx_arrays.array(tensor, may_hold_nulls=False)


def test_tensors_without_elements_are_arrays_without_elements() -> None:
    for datatype in DTYPES:
        assert _array(_json([], (0, 2), datatype)).shape == (0, 2)
        found = _array(Tensor("x", datatype, (0, 2), memoryview(b"")))
        assert found.shape == (0, 2)
        assert onnx_arrays.output("y", datatype, found, binary=True).data == b""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.wire.infer import data as infer_data
from gateway.wire.infer.request import Tensor


def _json(data: str, shape: tuple[int, ...], datatype: str = "FP32") -> Tensor:
    return Tensor("x", datatype, shape, msgspec.Raw(data.encode("utf-8", "surrogateescape")))


def _binary(data: bytes, shape: tuple[int, ...]) -> Tensor:
    return Tensor("s", "BYTES", shape, memoryview(data))


@pytest.mark.parametrize(
    ("data", "shape", "found"),
    [
        ("[1, 2.5, 3, 4]", (2, 2), [1, 2.5, 3, 4]),
        ("[[1, 2.5], [3, 4]]", (2, 2), [1, 2.5, 3, 4]),
        ("[[[1], [2]], [[3], [4]]]", (2, 2, 1), [1, 2, 3, 4]),
        ("[5]", (), [5]),
        ("[]", (0, 3), []),
        ("[[], []]", (2, 0), []),
    ],
)
def test_data_may_be_nested_or_flat(data: str, shape: tuple[int, ...], found: list[float]) -> None:
    assert infer_data.values(_json(data, shape)) == (found, False)


def test_nulls_are_kept_and_told() -> None:
    assert infer_data.values(_json("[[1, null]]", (1, 2))) == ([1, None], True)
    assert infer_data.values(_json('["a", null]', (2,), "BYTES")) == (["a", None], True)


def test_values_that_were_read_elsewhere_are_held_to_the_same_rules() -> None:
    assert infer_data.values(Tensor("x", "INT64", (2,), [1, 2])) == ([1, 2], False)
    with pytest.raises(InvalidRequest, match=r"inputs.x: 2 elements of data, but shape \[3\] takes 3"):
        infer_data.values(Tensor("x", "INT64", (3,), [1, 2]))


@pytest.mark.parametrize(
    ("data", "shape", "datatype", "told"),
    [
        ("[1, 2, 3]", (2, 2), "FP32", "3 elements of data, but shape [2, 2] takes 4"),
        ("[[1, 2], [3]]", (2, 2), "FP32", "data does not nest as its shape [2, 2] says"),
        ("[[1, 2], 3]", (2, 2), "FP32", "data does not nest as its shape [2, 2] says"),
        ("[[1, 2]]", (2, 2), "FP32", "data does not nest as its shape [2, 2] says"),
        ("[[1]]", (1,), "FP32", "element 0 is an array; FP32 takes numbers"),
        ("[[1]]", (), "FP32", "data does not nest"),
        ("5", (1,), "FP32", "data must be an array"),
        ('{"a": 1}', (1,), "FP32", "data must be an array"),
        ("[1e999]", (1,), "FP64", "data cannot be read"),
        ('["\udcff"]', (1,), "BYTES", "data"),
        ("[" * 10_000 + "]" * 10_000, (1,), "FP32", "data is nested too deeply"),
        ('[1, "2"]', (2,), "FP32", "element 1 is a text; FP32 takes numbers (or null)"),
        ('["NaN"]', (1,), "FP32", "element 0 is NaN or Infinity as a text"),
        ("[1, true]", (2,), "FP64", "element 1 is a boolean; FP64 takes numbers"),
        ("[1, 1.0]", (2,), "INT64", "element 1 is a fraction; INT64 takes whole numbers"),
        ("[1]", (1,), "BOOL", "element 0 is a number; BOOL takes true and false"),
        ("[{}]", (1,), "BYTES", "element 0 is an object; BYTES takes texts"),
    ],
)
def test_wrong_data_is_refused_with_tensor_element_and_rule(
    data: str, shape: tuple[int, ...], datatype: str, told: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        infer_data.values(_json(data, shape, datatype))
    assert refused.value.message.startswith("inputs.x: ")
    assert told in refused.value.message


def test_texts_in_binary_are_lengths_and_bytes() -> None:
    assert infer_data.texts(_binary(b"\x02\0\0\0ab\0\0\0\0\x02\0\0\0\xc3\xa4", (3,))) == ["ab", "", "ä"]
    assert infer_data.texts(_binary(b"", (0,))) == []


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        (b"", (1,)),
        (b"\x01\0\0", (1,)),
        (b"\x02\0\0\0a", (1,)),
        (b"\xff\xff\xff\xffa", (1,)),
        (b"\x01\0\0\0a", (2,)),
        (b"\x01\0\0\0a\x01\0\0\0b", (1,)),
        (b"\x01\0\0\0a\x01", (1,)),
    ],
)
def test_texts_whose_lengths_do_not_add_up_are_refused(data: bytes, shape: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRequest, match=r"inputs.s: \d+ bytes do not make the \d elements of shape"):
        infer_data.texts(_binary(data, shape))


def test_a_text_that_is_not_utf_8_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidRequest, match=r"inputs.s: element 1 is not UTF-8"):
        infer_data.texts(_binary(b"\x01\0\0\0a\x01\0\0\0\xff", (2,)))


def test_no_message_holds_a_value_of_the_caller() -> None:
    tensors: list[tuple[str, tuple[int, ...], Any]] = [
        ('["hunter2"]', (1,), "FP32"),
        ("[4711.25]", (1,), "INT8"),
        ('["hunter2"', (1,), "BYTES"),
        ("[4711, 4711]", (1,), "INT8"),
    ]
    for data, shape, datatype in tensors:
        with pytest.raises(InvalidRequest) as refused:
            infer_data.values(_json(data, shape, datatype))
        assert "hunter2" not in refused.value.message
        assert "4711" not in refused.value.message

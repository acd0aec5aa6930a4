"""The Open Inference Protocol under arbitrary bytes, and any tensor there and back."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from gateway.backends import onnx_arrays
from gateway.errors import InvalidRequest
from gateway.policy.columns import DTYPES
from gateway.wire.infer import answer as infer_answer
from gateway.wire.infer import data as infer_data
from gateway.wire.infer import paths as infer_paths
from gateway.wire.infer import request as infer
from gateway.wire.infer.paths import Target
from gateway.wire.infer.request import Tensor
from gateway.wire.infer.texts import AnswerTexts, RequestTexts

PIECES = st.sampled_from(
    [
        *(
            '{"inputs":[',
            '{"name":"x",',
            '"shape":[2],',
            '"shape":[2,-1],',
            '"datatype":"FP32",',
            '"datatype":"BYTES",',
        ),
        *('"data":[1,2]', '"data":[[1],[NaN]]', '"data":["a",null]', '"data":1', '"data":[1e999]', "}", "]", "{", ","),
        *('"parameters":{"binary_data_size":4}', '"parameters":{"binary_data_size":-1}', '"id":"7"', "NaN", "\\ud800"),
        *('"outputs":[{"name":"y"}]', '"parameters":{"binary_data_output":true}', '"parameters":{"priority":1}', '"'),
        *("]}", "]}]}", "null", "\x00", "[[[[", '"shape":[99999999999999999999]', '"shape":[4294967296,4294967296]'),
    ]
)


BODIES = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=12).map(lambda some: "".join(some).encode()))
LENGTHS = st.one_of(st.none(), st.binary(max_size=3), st.integers(0, 250).map(lambda size: b"%d" % size))


def _one(shape: str, datatype: str, data: str) -> bytes:
    return f'{{"inputs":[{{"name":"x","shape":{shape},"datatype":"{datatype}","data":{data}}}]}}'.encode()


@given(BODIES, LENGTHS)
@example(_one("[1]", "BYTES", '["\\ud800"]'), None)
@example(_one("[0,1099511627776,1099511627776]", "FP32", "[]"), None)
@example(_one("[0,9223372036854775808]", "FP32", "[]"), None)
def test_any_body_is_a_request_or_a_refusal(body: bytes, header_length: bytes | None) -> None:
    try:
        call = infer.parse(body, header_length)
        for tensor in call.inputs:
            if tensor.datatype != "BF16":
                onnx_arrays.array(tensor, may_hold_nulls=True)
    except InvalidRequest:
        return
    written, length = infer.outgoing(call)
    assert infer.outgoing(infer.parse(written, None if length is None else b"%d" % length)) == (written, length)


@given(st.binary(max_size=60), st.lists(st.integers(0, 4), max_size=3))
def test_any_bytes_are_texts_or_a_refusal(data: bytes, shape: list[int]) -> None:
    try:
        texts = infer_data.texts(Tensor("x", "BYTES", tuple(shape), memoryview(data)))
    except InvalidRequest:
        return
    assert len(texts) == math.prod(shape)
    assert infer_answer.texts(texts) == data


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=10), max_size=10))
def test_any_texts_travel_in_binary(texts: list[str]) -> None:
    data = infer_answer.texts(texts)
    assert infer_data.texts(Tensor("x", "BYTES", (len(texts),), memoryview(data))) == texts


NUMBERS = [name for name in DTYPES if name != "BYTES"]


@given(st.data(), st.sampled_from(NUMBERS))
def test_any_tensor_travels_in_json_nested_or_flat_and_in_binary(data: st.DataObject, datatype: str) -> None:
    dtype: Any = DTYPES[datatype]
    finite: dict[str, Any] = {"allow_nan": False, "allow_infinity": False} if dtype.kind == "f" else {}
    shape = data.draw(arrays.array_shapes(max_dims=3, max_side=4))
    sent = data.draw(arrays.arrays(dtype, shape, elements=arrays.from_dtype(dtype, **finite)))
    for values in (sent.tolist(), sent.ravel().tolist()):
        body = {"inputs": [{"name": "x", "shape": list(shape), "datatype": datatype, "data": values}]}
        (tensor,) = infer.parse(json.dumps(body).encode(), None).inputs
        found = onnx_arrays.array(tensor, may_hold_nulls=False)
        assert (found.shape, found.dtype, found.tobytes()) == (shape, dtype, sent.tobytes())
    told = onnx_arrays.output("x", datatype, sent, binary=False)
    tensor = Tensor("x", datatype, shape, msgspec.Raw(msgspec.json.encode(told.data)))
    assert onnx_arrays.array(tensor, may_hold_nulls=False).tobytes() == sent.tobytes()
    binary = onnx_arrays.output("x", datatype, sent, binary=True).data
    assert isinstance(binary, bytes)
    assert (onnx_arrays.array(Tensor("x", datatype, shape, memoryview(binary)), may_hold_nulls=False) == sent).all()


@given(st.text(min_size=1), st.text(), st.sampled_from(["infer", "ready", "metadata"]))
def test_any_name_travels_in_a_path(name: str, version: str, action: Any) -> None:
    try:
        path = infer_paths.path(name, version, action)
    except UnicodeEncodeError:  # half of a surrogate pair: no name of ours
        return
    assert infer_paths.target(path) == Target(name, version, action)


@given(st.binary(max_size=60))
def test_any_path_names_a_model_or_none(rest: bytes) -> None:
    target = infer_paths.target(infer_paths.PREFIX + rest)
    assert target is None or target.alias


def test_numpy_is_little_endian_here() -> None:
    assert np.dtype(np.float32).str == "<f4"


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=10), max_size=6), st.booleans(), st.data())
def test_any_texts_are_read_and_others_said_in_their_place(texts: list[str], binary: bool, data: st.DataObject) -> None:
    others = data.draw(
        st.lists(st.text(st.characters(codec="utf-8"), max_size=12), min_size=len(texts), max_size=len(texts))
    )
    packed = infer_answer.texts(texts)
    holds: dict[str, Any] = {"parameters": {"binary_data_size": len(packed)}} if binary else {"data": texts}
    tensor = {"name": "s", "datatype": "BYTES", "shape": [len(texts)], **holds}
    tail = packed if binary else b""
    for key, read in (("inputs", _request_texts), ("outputs", _answer_texts)):
        head = json.dumps({key: [tensor]}).encode()
        for said in (texts, others):
            assert read(*read(head + tail, len(head) if binary else None, texts, said), said, said)


def _request_texts(body: bytes, length: int | None, texts: list[str], said: list[str]) -> tuple[bytes, int | None]:
    found = RequestTexts(infer.parse(body, None if length is None else b"%d" % length))
    assert [part.text for part in found.parts] == texts
    return infer.outgoing(found.said(said))


def _answer_texts(body: bytes, length: int | None, texts: list[str], said: list[str]) -> tuple[bytes, int | None]:
    found = AnswerTexts(body, length)
    assert [part.text for part in found.parts] == texts
    return found.said(said)

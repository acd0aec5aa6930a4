"""gateway.wire.infer.texts"""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest, UpstreamProtocol
from gateway.wire.infer import request
from gateway.wire.infer.answer import texts as packed
from gateway.wire.infer.texts import AnswerTexts, RequestTexts

NUMBERS = {"name": "n", "shape": [1, 2], "datatype": "FP32", "data": [[0.1, 1]]}


def read(asked: dict[str, Any], tail: bytes = b"") -> RequestTexts:
    head = json.dumps(asked).encode()
    return RequestTexts(request.parse(head + tail, b"%d" % len(head) if tail else None))


def written(texts: RequestTexts, *said: str) -> tuple[dict[str, Any], bytes]:
    body, length = request.outgoing(texts.said(said))
    return json.loads(body[:length]), b"" if length is None else body[length:]


def places(texts: RequestTexts | AnswerTexts) -> list[tuple[str, str]]:
    return [(part.place, part.text) for part in texts.parts]


def test_elements_of_texts_and_parameters_that_are_texts_are_read_and_replaced() -> None:
    asked = {
        "id": "7",
        "parameters": {"style": "kind", "top": 3},
        "inputs": [
            NUMBERS | {"parameters": {"unit": "mm"}},
            {"name": "s", "shape": [2, 2], "datatype": "BYTES", "data": [["a", None], ["b", ""]]},
        ],
        "outputs": [{"name": "y", "parameters": {"as": "text", "classification": 2}}],
    }
    texts = read(asked)
    assert places(texts) == [
        *(("parameters.style", "kind"), ("inputs.n.parameters.unit", "mm"), ("outputs.y.parameters.as", "text")),
        *(("inputs.s[0]", "a"), ("inputs.s[2]", "b"), ("inputs.s[3]", "")),
    ]
    assert {part.phase for part in texts.parts} == {"input"}
    told, _ = written(texts, "KIND", "MM", "TEXT", "A", "B", "-")
    assert told == {
        "id": "7",
        "parameters": {"style": "KIND", "top": 3},
        "inputs": [
            NUMBERS | {"parameters": {"unit": "MM"}},
            {"name": "s", "shape": [2, 2], "datatype": "BYTES", "data": ["A", None, "B", "-"]},
        ],
        "outputs": [{"name": "y", "parameters": {"as": "TEXT", "classification": 2}}],
    }


def test_binary_tensors_are_written_anew_with_their_sizes() -> None:
    tail = packed(["héllo", ""]) + b"\x00\x00\x80\x3f" + packed(["x"])
    inputs = [
        {
            "name": "s",
            "shape": [2],
            "datatype": "BYTES",
            "parameters": {"binary_data_size": len(packed(["héllo", ""]))},
        },
        {"name": "n", "shape": [1], "datatype": "FP32", "parameters": {"binary_data_size": 4}},
        {"name": "t", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": 5}},
    ]
    texts = read({"inputs": inputs}, tail)
    assert places(texts) == [("inputs.s[0]", "héllo"), ("inputs.s[1]", ""), ("inputs.t[0]", "x")]
    told, rest = written(texts, "h", "longer than before", "y")
    assert rest == packed(["h", "longer than before"]) + b"\x00\x00\x80\x3f" + packed(["y"])
    assert [each["parameters"]["binary_data_size"] for each in told["inputs"]] == [27, 4, 5]


@pytest.mark.parametrize("data", [b"\x01\x00\x00\x00\xff", b"\x02\x00\x00\x00a", b"\x01\x00\x00\x00aa"])
def test_a_binary_tensor_that_holds_no_text_is_refused(data: bytes) -> None:
    sent = {"name": "s", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}
    with pytest.raises(InvalidRequest, match=r"inputs\.s"):
        read({"inputs": [sent]}, data)


@pytest.mark.parametrize("data", [[1], [{"b64": "aGk="}], [["a"], "b"], "a"])
def test_a_tensor_of_texts_that_holds_something_else_is_refused(data: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"inputs\.s"):
        read({"inputs": [{"name": "s", "shape": [1], "datatype": "BYTES", "data": data}]})


def test_of_an_answer_texts_are_replaced_and_numbers_stay_as_they_were() -> None:
    told = (
        b'{"model_name":"m","model_version":"2","id":"7","secret":"x","parameters":{"why":"so"},"outputs":['
        b'{"name":"n","datatype":"FP32","shape":[2],"data":[0.10,1e2],"note":"x"},'
        b'{"name":"s","datatype":"BYTES","shape":[1,2],"data":[["a",null]],"parameters":{"lang":"en"}}]}'
    )
    texts = AnswerTexts(told, None)
    assert places(texts) == [("parameters.why", "so"), ("outputs.s.parameters.lang", "en"), ("outputs.s[0]", "a")]
    assert {part.phase for part in texts.parts} == {"output"}
    body, length = texts.said(["SO", "EN", "A"])
    assert length is None
    assert b"[0.10,1e2]" in body
    assert json.loads(body) == {
        "model_name": "m",
        "model_version": "2",
        "id": "7",
        "parameters": {"why": "SO"},
        "outputs": [
            {"name": "n", "datatype": "FP32", "shape": [2], "data": [0.1, 100.0]},
            {"name": "s", "datatype": "BYTES", "shape": [1, 2], "data": ["A", None], "parameters": {"lang": "EN"}},
        ],
    }


def test_a_binary_answer_keeps_its_order_and_tells_the_new_sizes() -> None:
    outputs = [
        {"name": "s", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 6}},
        {"name": "j", "datatype": "INT64", "shape": [1], "data": [5]},
        {"name": "n", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}},
    ]
    head = json.dumps({"model_name": "m", "outputs": outputs}).encode()
    texts = AnswerTexts(head + packed(["hi"]) + b"abcd", len(head))
    assert places(texts) == [("outputs.s[0]", "hi")]
    body, length = texts.said(["hello"])
    assert length is not None
    assert body[length:] == packed(["hello"]) + b"abcd"
    told = json.loads(body[:length])["outputs"]
    assert [each.get("parameters") for each in told] == [{"binary_data_size": 9}, None, {"binary_data_size": 4}]
    assert told[1]["data"] == [5]


@pytest.mark.parametrize(
    ("body", "length"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"outputs":[{"name":"s"}]}', None),
        (b'{"outputs":[{"name":"s","datatype":"BYTES","shape":[1],"data":[1]}]}', None),
        (b'{"outputs":[{"name":"s","datatype":"BYTES","shape":[1]}]}', None),
        (b'{"outputs":[]}tail', 14),
        (b'{"outputs":[{"name":"s","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}]}\x01', 92),
        (
            b'{"outputs":[{"name":"s","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}]}\x01\0\0\0\xff',
            92,
        ),
    ],
)
def test_an_answer_that_cannot_be_read_is_the_backends_error(body: bytes, length: int | None) -> None:
    with pytest.raises(UpstreamProtocol):
        AnswerTexts(body, length)

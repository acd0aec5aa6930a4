"""A classic model that judges texts: what it is asked, and what its outputs mean.

It takes one text, in its one input of BYTES, as scikit-learn's pipelines of texts do when they are converted
(skl2onnx), and gives a probability, a label, or a word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from gateway.wire import judgements
from gateway.wire.infer import answer as infer_answer
from gateway.wire.infer.answer import Output
from gateway.wire.infer.request import InferCall, Tensor, TensorSpec

WHAT_IT_TAKES: Final = "a model that judges texts takes one input, of text (BYTES), in a shape that one text has"


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: tuple[int, ...]


class _Model(msgspec.Struct):
    inputs: tuple[_Input, ...]


class _Output(msgspec.Struct):
    name: str
    datatype: str
    shape: tuple[int, ...]
    data: list[Any]


class _Answer(msgspec.Struct):
    outputs: list[_Output]


_decode_model: Final = msgspec.json.Decoder(_Model).decode
_decode_answer: Final = msgspec.json.Decoder(_Answer).decode


def input_of(inputs: Sequence[TensorSpec]) -> TensorSpec | None:
    """The input that takes the text; None for a model that cannot judge (`WHAT_IT_TAKES`)."""
    if len(inputs) != 1 or inputs[0].datatype != "BYTES":
        return None
    return inputs[0] if all(isinstance(size, str) or size in (-1, 1) for size in inputs[0].shape) else None


def told_input(body: bytes) -> TensorSpec | None:
    """The same of what a server tells of a model (`GET /v2/models/{m}`)."""
    try:
        model = _decode_model(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return input_of([TensorSpec(each.name, each.datatype, each.shape) for each in model.inputs])


def question(spec: TensorSpec, text: str, *, binary: bool) -> InferCall:
    """The request that has the model judge this text. Halves of surrogate pairs are replaced."""
    said = text.encode("utf-8", "replace").decode("utf-8")
    data = memoryview(infer_answer.texts([said])) if binary else [said]
    return InferCall("", (Tensor(spec.name, "BYTES", (1,) * len(spec.shape), data),), (), binary=False)


def answered(body: bytes) -> list[Output]:
    """The outputs of an answer that is all JSON; none of what is no answer."""
    try:
        outputs = _decode_answer(body).outputs
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    return [Output(each.name, each.datatype, each.shape, _flat(each.data)) for each in outputs]


def score(outputs: Sequence[Output]) -> float | None:
    """What the outputs say of one text; None for what is no judgement.

    Of the first output of fractions the last number, which is the probability of the class that sorts last: 1 beside 0,
    unsafe beside safe. Else of the first of whole numbers whether the last one is not 0. Else what the last text says,
    read as that of a chat model.
    """
    for letters in (("FP", "BF"), ("INT", "UINT", "BOOL"), ("BYTES",)):
        for output in outputs:
            if output.datatype.startswith(letters) and isinstance(output.data, list) and output.data:
                return _meant(output.data[-1])
    return None


def _meant(value: object) -> float | None:
    if isinstance(value, str):
        return judgements.score(value)
    if isinstance(value, float):
        return value if math.isfinite(value) and 0 <= value <= 1 else None
    return float(value != 0) if isinstance(value, int) else None


def _flat(data: list[Any]) -> list[Any]:
    """Nested arrays as one."""
    while data and isinstance(data[0], list):
        data = [value for each in data if isinstance(each, list) for value in each]
    return data

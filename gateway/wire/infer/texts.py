"""The texts of a request and of an answer of the Open Inference Protocol, and both with other texts in their place: the
elements of tensors of BYTES, and parameters that are texts. Numbers are no text.

What was read is what is sent. So an element that is no text (not UTF-8, or no string in JSON) is refused, and of an
answer nothing passes but what the protocol knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from gateway.errors import InvalidRequest, UpstreamProtocol
from gateway.wire.body import shown
from gateway.wire.edits import INPUT, OUTPUT, Part
from gateway.wire.infer import answer as infer_answer
from gateway.wire.infer import data as infer_data
from gateway.wire.infer.request import InferCall, Parameters, Tensor, Wanted

_TEXT: Final = "BYTES"
_SIZE: Final = "binary_data_size"
_encode: Final = msgspec.json.Encoder().encode


class _Output(msgspec.Struct, omit_defaults=True):
    name: str
    datatype: str
    shape: tuple[int, ...]
    parameters: dict[str, Any] | None = None
    data: msgspec.Raw = msgspec.Raw()


class _Answer(msgspec.Struct, omit_defaults=True):
    model_name: str = ""
    model_version: str | None = None
    outputs: list[_Output] = []
    id: str | None = None
    parameters: dict[str, Any] | None = None


_decode: Final = msgspec.json.Decoder(_Answer).decode


class RequestTexts:
    """The texts of a request."""

    __slots__ = ("_call", "_read", "parts")

    def __init__(self, call: InferCall) -> None:
        """Raises InvalidRequest for a tensor of texts that holds anything else."""
        self._call: Final = call
        self._read: Final = {each.name: infer_data.elements(each) for each in call.inputs if each.datatype == _TEXT}
        parts: list[Part] = []
        for where, parameters in _all_parameters(call):
            parts += [Part(f"{where}.{shown(name)}", INPUT, text) for name, text in _texts_of(parameters)]
        for name, elements in self._read.items():
            where = f"inputs.{shown(name)}"
            parts += [Part(f"{where}[{at}]", INPUT, text) for at, text in enumerate(elements) if text is not None]
        self.parts: Final[Sequence[Part]] = parts

    def said(self, texts: Sequence[str]) -> InferCall:
        """The request with these in place of `parts`."""
        call, following = self._call, iter(texts)
        parameters = _with(call.parameters, following)
        own = [_with(tensor.parameters, following) for tensor in call.inputs]
        outputs = tuple(Wanted(each.name, each.binary, _with(each.parameters, following)) for each in call.outputs)
        inputs: list[Tensor] = []
        for tensor, its in zip(call.inputs, own, strict=True):
            data = tensor.data
            if tensor.name in self._read:
                said = _replaced(self._read[tensor.name], following)
                if isinstance(data, memoryview):
                    data = _binary(said)
                    its = {**(its or {}), _SIZE: len(data)}
                else:
                    data = msgspec.Raw(_encode(said))
            inputs.append(Tensor(tensor.name, tensor.datatype, tensor.shape, data, its))
        return InferCall(call.id, tuple(inputs), outputs, call.binary, parameters)


class AnswerTexts:
    """The texts of an answer."""

    __slots__ = ("_answer", "_binary", "_read", "parts")

    def __init__(self, body: bytes, json_length: int | None) -> None:
        """`json_length` as in the answer's `Inference-Header-Content-Length`. Raises UpstreamProtocol for what is no
        answer, or holds what is no text where texts should be."""
        split = len(body) if json_length is None else json_length
        rest = memoryview(body)[split:]
        try:
            answer = _decode(body[:split])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise UpstreamProtocol("the backend's answer is none of the Open Inference Protocol") from None
        self._answer: Final = answer
        self._binary: Final[dict[int, memoryview]] = {}
        self._read: Final[dict[int, list[str | None]]] = {}
        parts = [Part(f"parameters.{shown(name)}", OUTPUT, text) for name, text in _texts_of(answer.parameters)]
        at = 0
        for number, output in enumerate(answer.outputs):
            where = f"outputs.{shown(output.name)}"
            named = _texts_of(output.parameters)
            parts += [Part(f"{where}.parameters.{shown(name)}", OUTPUT, text) for name, text in named]
            size = (output.parameters or {}).get(_SIZE)
            if type(size) is int and 0 <= size <= len(rest) - at:
                self._binary[number] = rest[at : at + size]
                at += size
            if output.datatype == _TEXT:
                self._read[number] = _elements(output, self._binary.get(number))
        if at != len(rest):
            raise UpstreamProtocol("the sizes of the outputs in the backend's answer do not add up")
        for number, elements in self._read.items():
            where = f"outputs.{shown(answer.outputs[number].name)}"
            parts += [Part(f"{where}[{at}]", OUTPUT, text) for at, text in enumerate(elements) if text is not None]
        self.parts: Final[Sequence[Part]] = parts

    def said(self, texts: Sequence[str]) -> tuple[bytes, int | None]:
        """The answer with these in place of `parts`: its body, and the length of its JSON where tensors follow it."""
        answer, following = self._answer, iter(texts)
        parameters = _with(answer.parameters, following)
        own = [_with(output.parameters, following) for output in answer.outputs]
        tails: list[bytes | memoryview] = []
        outputs: list[_Output] = []
        for number, output in enumerate(answer.outputs):
            its, data, tail = own[number], output.data, self._binary.get(number)
            if number in self._read:
                elements = _replaced(self._read[number], following)
                if tail is None:
                    data = msgspec.Raw(_encode(elements))
                else:
                    tail = _binary(elements)
            if tail is not None:
                tails.append(tail)
                its = {**(its or {}), _SIZE: len(tail)}
            outputs.append(_Output(output.name, output.datatype, output.shape, its, data))
        head = _encode(_Answer(answer.model_name, answer.model_version, outputs, answer.id, parameters))
        return b"".join([head, *tails]), len(head) if tails else None


def _elements(output: _Output, binary: memoryview | None) -> list[str | None]:
    try:
        return infer_data.elements(Tensor(output.name, _TEXT, output.shape, output.data if binary is None else binary))
    except InvalidRequest:
        raise UpstreamProtocol("the backend's answer holds what is no text where its checks read one") from None


def _replaced(elements: list[str | None], following: Iterator[str]) -> list[str | None]:
    return [None if each is None else next(following) for each in elements]


def _binary(elements: list[str | None]) -> memoryview:
    return memoryview(infer_answer.texts([each or "" for each in elements]))


def _all_parameters(call: InferCall) -> Iterator[tuple[str, Parameters | None]]:
    yield "parameters", call.parameters
    for tensor in call.inputs:
        yield f"inputs.{shown(tensor.name)}.parameters", tensor.parameters
    for output in call.outputs:
        yield f"outputs.{shown(output.name)}.parameters", output.parameters


def _texts_of(parameters: dict[str, Any] | None) -> list[tuple[str, str]]:
    return [(name, value) for name, value in (parameters or {}).items() if isinstance(value, str)]


def _with(parameters: dict[str, Any] | None, following: Iterator[str]) -> dict[str, Any] | None:
    """The same parameters with the texts that follow."""
    if not parameters:
        return parameters
    return {name: next(following) if isinstance(value, str) else value for name, value in parameters.items()}

"""Classic models in this process: one ONNX Runtime session for each version, and how its runs share the worker.

A run that is expected to be short runs at once, on the event loop: going to a thread costs more. Any other runs in
a thread (`run_threads`), bounded in number and in time. What to expect is measured, run by run, for each order of
magnitude of the input.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import onnxruntime

from gateway.backends import onnx_arrays
from gateway.backends.onnx_arrays import Array
from gateway.backends.run_threads import RunThreads
from gateway.errors import ConfigError, ModelFailed
from gateway.wire import infer
from gateway.wire.infer import InferCall, Signature, TensorSpec
from gateway.wire.infer_answer import Output

INLINE_BELOW_S: Final = 0.0003
WEIGHT: Final = 0.3
"""Of the newest run in what is expected of the next."""

DATATYPES: Final = {
    "tensor(bool)": "BOOL",
    "tensor(int8)": "INT8",
    "tensor(int16)": "INT16",
    "tensor(int32)": "INT32",
    "tensor(int64)": "INT64",
    "tensor(uint8)": "UINT8",
    "tensor(uint16)": "UINT16",
    "tensor(uint32)": "UINT32",
    "tensor(uint64)": "UINT64",
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": "BYTES",
}

_NODE: Final = re.compile(r"running (\w+) node\. Name:'([^']{0,100})'")


class Rows(Protocol):
    """The compiled schema of a model."""

    def check(self, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        """The arrays without nulls, in the model's own dtypes. Raises a CallerError that names column, row and rule."""
        ...


class Expected:
    """How long a run takes, by the size of its input: the number of bits in the count of its elements."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}

    def seconds(self, size: int) -> float:
        """What to expect. Scaled from the nearest smaller size if there was none like it; long before the first run."""
        known = self._seconds
        if size in known:
            return known[size]
        smaller = max((seen for seen in known if seen < size), default=None)
        if smaller is None:
            return min(known.values(), default=1.0)
        return known[smaller] * float(2 ** (size - smaller))

    def learn(self, size: int, took_s: float) -> None:
        """A run's time."""
        before_s = self._seconds.get(size, took_s)
        self._seconds[size] = before_s + WEIGHT * (took_s - before_s)


class Session:
    """One loaded version of a model. Runs may overlap."""

    rows: Rows | None = None
    """What the schema asks of each row; None where there is none."""

    def __init__(self, model: bytes, name: str, threads: int = 1, data: Path | None = None) -> None:
        """`model` is an ONNX file, `name` says which in messages, `data` is the folder of weights that it keeps in
        files beside it. Raises ConfigError for what cannot be served.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if data is not None:
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(data))
        options.log_severity_level = 4  # what goes wrong is raised; its log lines may hold values
        try:
            self._session: Any = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001 - its exceptions have no base of their own
            raise ConfigError(f"{name}: ONNX Runtime cannot load it: {_reason(error)}") from None
        self.name = name
        self.signature = Signature(
            tuple(_spec(name, "input", declared) for declared in self._session.get_inputs()),
            tuple(_spec(name, "output", declared) for declared in self._session.get_outputs()),
        )
        self._datatypes = {spec.name: spec.datatype for spec in self.signature.outputs}
        self._all = tuple(self._datatypes)
        self.expected = Expected()

    def inputs(self, call: InferCall) -> Mapping[str, Array]:
        """The inputs of a request as this model takes them. Raises a CallerError naming the tensor, or the column and
        the row, and the rule.
        """
        infer.check(call, self.signature)
        rows = self.rows
        arrays = {tensor.name: onnx_arrays.array(tensor, may_hold_nulls=rows is not None) for tensor in call.inputs}
        return arrays if rows is None else rows.check(arrays)

    def names(self, call: InferCall) -> Sequence[str]:
        """The outputs that a request wants, in the order of its answer."""
        return tuple(wanted.name for wanted in call.outputs) or self._all

    async def run(
        self, inputs: Mapping[str, Array], names: Sequence[str], threads: RunThreads, timeout_s: float
    ) -> list[Array]:
        """The outputs of these names. Raises ModelFailed when the model raises, UpstreamBusy and UpstreamTimeout."""
        size = sum(array.size for array in inputs.values()).bit_length()
        if self.expected.seconds(size) < INLINE_BELOW_S:
            return self._run(size, inputs, names, None)
        options = onnxruntime.RunOptions()
        stop = partial(setattr, options, "terminate", True)
        return await threads.run(partial(self._run, size, inputs, names, options), stop, timeout_s)

    def outputs(self, call: InferCall, names: Sequence[str], arrays: Sequence[Array]) -> list[Output]:
        """What a run gave, in the form that the request asks for. `names` and `arrays` are in the same order."""
        if call.outputs:
            binary = [wanted.binary for wanted in call.outputs]
        else:
            binary = [call.binary] * len(names)
        datatypes = self._datatypes
        return [
            onnx_arrays.output(name, datatypes[name], array, binary=in_binary)
            for name, array, in_binary in zip(names, arrays, binary, strict=True)
        ]

    def _run(self, size: int, inputs: Mapping[str, Array], names: Sequence[str], options: Any) -> list[Array]:
        began_s = time.perf_counter()
        try:
            found: list[Array] = self._session.run(names, inputs, options)
        except Exception as error:  # noqa: BLE001 - its exceptions have no base of their own
            node = _NODE.search(str(error))
            where = f" in its node {node[2] or node[1]}" if node else ""
            raise ModelFailed(f"the model {self.name} failed on this request{where}") from None
        self.expected.learn(size, time.perf_counter() - began_s)
        return found


def _spec(name: str, which: str, declared: Any) -> TensorSpec:
    datatype = DATATYPES.get(declared.type)
    if datatype is None:
        hint = ""
        if declared.type.startswith("seq(map("):
            hint = " (scikit-learn's converter: `zipmap=False` makes it a tensor)"
        raise ConfigError(f"{name}: the {which} {declared.name} is {declared.type}, which is not served{hint}")
    shape = tuple(-1 if size is None else size for size in declared.shape)
    return TensorSpec(declared.name, datatype, shape)


def _reason(error: Exception) -> str:
    """What ONNX Runtime says is wrong with a file, without the names of its own functions."""
    text = str(error).strip()
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", text)
    text = re.sub(r"^\S*/onnxruntime/\S+:\d+ [^\n]*?\) (?=[A-Z])", "", text)
    return text[:500]

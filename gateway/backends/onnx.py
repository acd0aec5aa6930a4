"""Classic models in this process: one ONNX Runtime session for each version, and how its runs share the worker.

A call that is expected to be short is answered at once, on the event loop: going to a thread costs more. Any other is
answered in a thread (`run_threads`), bounded in number and in time. What to expect is measured, call by call, for
each order of magnitude of the input; a model whose work depends on the values themselves is never answered so.
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
from gateway.wire.infer import request as infer
from gateway.wire.infer.answer import Output
from gateway.wire.infer.request import InferCall, Signature, TensorSpec, Wanted

INLINE_BELOW_S: Final = 0.0003
WEIGHT: Final = 0.3
"""Of the newest answer in what is expected of the next."""

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

UNBOUNDED: Final = (
    *("Loop", "Scan", "Range", "ConstantOfShape", "Expand", "Tile", "Pad", "OneHot", "Resize", "Upsample"),
    *("BeamSearch", "GreedySearch", "Sampling"),
)
"""Operators whose work may depend on the values they get, not only on how many: one call says nothing of the next."""

_UNBOUNDED: Final = re.compile(b"|".join(b'"%c%b' % (len(name), name.encode()) for name in UNBOUNDED))
"""A node of one of them, in a file: the field op_type (tag 4, a text) of ONNX's NodeProto."""

_NODE: Final = re.compile(r"running (\w+) node\. Name:'([^']{0,100})'")


class Rows(Protocol):
    """The compiled schema of a model."""

    def check(self, arrays: Mapping[str, Array]) -> Mapping[str, Array]:
        """The arrays without nulls, in the model's own dtypes. Raises a CallerError that names column, row and rule."""
        ...


class Expected:
    """How long an answer takes, by the size of its input: how many bits the number of its bytes has."""

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
        """One answer's time."""
        before_s = self._seconds.get(size, took_s)
        self._seconds[size] = before_s + WEIGHT * (took_s - before_s)


class Session:
    """One loaded version of a model. Calls may overlap."""

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
        self.bounded = _UNBOUNDED.search(model) is None
        self.signature = Signature(
            tuple(_spec(name, "input", declared) for declared in self._session.get_inputs()),
            tuple(_spec(name, "output", declared) for declared in self._session.get_outputs()),
        )
        self._datatypes = {spec.name: spec.datatype for spec in self.signature.outputs}
        self.expected = Expected()

    async def predict(
        self, call: InferCall, threads: RunThreads, timeout_s: float, ran: list[float] | None = None
    ) -> list[Output]:
        """The answer to a call. Raises what `answer` raises; UpstreamBusy and UpstreamTimeout where it has to wait.

        `ran` gets when the work began and when it ended, of the monotonic clock: what waits for a thread has not begun.
        """
        if ran is None:
            ran = []
        if self.bounded and self.expected.seconds(_size(call)) < INLINE_BELOW_S:
            return self._timed(ran, call)
        options = onnxruntime.RunOptions()
        stop = partial(setattr, options, "terminate", True)
        return await threads.run(partial(self._timed, ran, call, options), stop, timeout_s)

    def _timed(self, ran: list[float], call: InferCall, options: Any = None) -> list[Output]:
        ran.append(time.monotonic())
        try:
            return self.answer(call, options)
        finally:
            ran.append(time.monotonic())

    def answer(self, call: InferCall, options: Any = None) -> list[Output]:
        """The outputs in the order and the form that the call asks for.

        Raises a CallerError that names the tensor, or the column and the row, and the rule; ModelFailed when the model
        raises.
        """
        began_s = time.thread_time()  # not the wall: being kept waiting says nothing of the model
        infer.check(call, self.signature)
        rows = self.rows
        inputs = {tensor.name: onnx_arrays.array(tensor, may_hold_nulls=rows is not None) for tensor in call.inputs}
        wanted = call.outputs or [Wanted(name, call.binary) for name in self._datatypes]
        found = self._run([each.name for each in wanted], inputs if rows is None else rows.check(inputs), options)
        outputs = [
            onnx_arrays.output(each.name, self._datatypes[each.name], array, binary=each.binary)
            for each, array in zip(wanted, found, strict=True)
        ]
        self.expected.learn(_size(call), time.thread_time() - began_s)
        return outputs

    def _run(self, names: Sequence[str], inputs: Mapping[str, Array], options: Any) -> list[Array]:
        try:
            found: list[Array] = self._session.run(names, inputs, options)
        except Exception as error:  # noqa: BLE001 - its exceptions have no base of their own
            node = _NODE.search(str(error))
            where = f" in its node {node[2] or node[1]}" if node else ""
            raise ModelFailed(f"the model {self.name} failed on this request{where}") from None
        return found


def _size(call: InferCall) -> int:
    return sum(len(tensor.data) for tensor in call.inputs).bit_length()


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

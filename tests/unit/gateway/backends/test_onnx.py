from __future__ import annotations

import asyncio
import threading
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from gateway.backends.onnx import INLINE_BELOW_S, Session
from gateway.backends.onnx_arrays import Array
from gateway.backends.run_threads import RunThreads
from gateway.config.model import Column
from gateway.errors import ConfigError, InvalidRequest, InvalidRow, ModelFailed, UpstreamTimeout
from gateway.policy import columns
from gateway.wire.infer.answer import Output
from gateway.wire.infer.request import InferCall, Tensor, TensorSpec, Wanted
from tests.support import onnx_models
from tests.support.running import run


def _rows(count: int) -> Array:
    return np.random.default_rng(7).normal(size=(count, 4)).astype(np.float32)


def _call(array: Array, *outputs: Wanted, binary: bool = True) -> InferCall:
    tensor = Tensor("x", "FP32", array.shape, memoryview(array.tobytes()))
    return InferCall("", (tensor,), outputs, binary)


def _int(name: str, *values: int, shape: tuple[int, ...] | None = None) -> InferCall:
    shape = (len(values),) if shape is None else shape
    return InferCall("", (Tensor(name, "INT64", shape, list(values)),), (), True)


def test_a_session_reads_what_its_file_takes_and_gives() -> None:
    signature = Session(onnx_models.linear(), "churn").signature
    assert signature.inputs == (TensorSpec("x", "FP32", ("n", 4)),)
    assert signature.outputs == (TensorSpec("scores", "FP32", ("n", 2)), TensorSpec("label", "INT64", ("n",)))


def test_one_row_at_a_time_equals_onnxruntime_bit_for_bit() -> None:
    rows = _rows(200)
    direct = onnxruntime.InferenceSession(onnx_models.linear())
    session = Session(onnx_models.linear(), "churn")
    for at in range(len(rows)):
        expected: list[Array] = direct.run(None, {"x": rows[at : at + 1]})
        outputs = session.answer(_call(rows[at : at + 1]))
        assert [output.data for output in outputs] == [output.tobytes() for output in expected]


def test_many_rows_equal_onnxruntime_bit_for_bit() -> None:
    rows = _rows(1000)
    expected: list[Array] = onnxruntime.InferenceSession(onnx_models.linear()).run(None, {"x": rows})
    session = Session(onnx_models.linear(), "churn")
    outputs = session.answer(_call(rows))
    assert [output.data for output in outputs] == [output.tobytes() for output in expected]


def test_no_rows_are_answered_with_none() -> None:
    session = Session(onnx_models.linear(), "churn")
    for binary in (True, False):
        outputs = session.answer(_call(np.zeros((0, 4), np.float32), binary=binary))
        assert [(tuple(output.shape), len(output.data)) for output in outputs] == [((0, 2), 0), ((0,), 0)]


def test_outputs_come_in_the_order_and_the_form_they_are_asked_for() -> None:
    session = Session(onnx_models.linear(), "churn")
    outputs = session.answer(_call(_rows(1), Wanted("label", False), Wanted("scores", True)))
    assert [(output.name, output.datatype, type(output.data)) for output in outputs] == [
        ("label", "INT64", list),
        ("scores", "FP32", bytes),
    ]


def test_a_call_stays_on_the_loop_once_it_is_known_to_be_short() -> None:
    async def main() -> None:
        threads = CountingThreads()
        short = Session(onnx_models.linear(), "short")
        for _ in range(100):
            await short.predict(_call(_rows(1)), threads, 60)
        assert 1 <= threads.runs < 100
        threads.close()

    run(main())


def test_a_model_whose_work_depends_on_values_never_stays_on_the_loop() -> None:
    async def main() -> None:
        threads = CountingThreads()
        session = Session(onnx_models.rounds(), "rounds")
        for size in range(64):
            session.expected.learn(size, 1e-6)
        for _ in range(3):
            await session.predict(_int("count", 1, shape=()), threads, 60)
        assert threads.runs == 3
        threads.close()

    assert Session(onnx_models.linear(), "linear").bounded
    assert Session(onnx_models.columns(), "columns").bounded
    run(main())


class CountingThreads(RunThreads):
    runs = 0

    async def run(self, *given: Any) -> Any:
        self.runs += 1
        return await super().run(*given)


def test_a_larger_input_than_any_before_is_expected_to_take_as_much_longer() -> None:
    session = Session(onnx_models.linear(), "churn")
    expected = session.expected
    assert expected.seconds(1) > INLINE_BELOW_S
    expected.learn(3, 0.00001)
    assert expected.seconds(3) == pytest.approx(0.00001)
    assert expected.seconds(5) == pytest.approx(0.00004)
    assert expected.seconds(0) == pytest.approx(0.00001)
    expected.learn(3, 0.00101)
    assert expected.seconds(3) == pytest.approx(0.00031)


def test_a_model_that_raises_is_an_error_that_names_it_and_its_node_and_no_value() -> None:
    session = Session(onnx_models.look_up(), "prices (version 2)")

    with pytest.raises(ModelFailed) as failed:
        session.answer(_int("i", 4711))
    assert failed.value.message == "the model prices (version 2) failed on this request in its node look_up"
    assert session.answer(_int("i", 2))[0].data == np.float32(2).tobytes()


def test_a_run_that_takes_too_long_is_stopped_and_frees_its_thread() -> None:
    session = Session(onnx_models.rounds(), "slow")

    async def main() -> None:
        threads = RunThreads(1, 0)
        with pytest.raises(UpstreamTimeout):
            await session.predict(_int("count", 2**40, shape=()), threads, 0.05)
        assert (await session.predict(_int("count", 1, shape=()), threads, 60))[0].shape == (64, 64)
        threads.close()

    run(main())


def test_a_schema_is_held_against_the_rows() -> None:
    session = Session(onnx_models.columns(), "churn")
    session.rows = columns.compile({"age": Column(min=18, nulls="impute", impute=40)}, session.signature.inputs)

    def call(age: str) -> InferCall:
        data = {
            "age": ("FP32", age),
            "plan": ("BYTES", '["a"]'),
            "visits": ("INT64", "[1]"),
            "member": ("BOOL", "[true]"),
        }
        tensors = (Tensor(name, kind, (1, 1), msgspec.Raw(raw.encode())) for name, (kind, raw) in data.items())
        return InferCall("", tuple(tensors), (), False)

    assert session.answer(call("[null]"))[0].data == [40.0]
    with pytest.raises(InvalidRow, match='row 0, column "age": must be at least 18'):
        session.answer(call("[17]"))


def test_without_a_schema_names_shapes_and_datatypes_are_held_against_the_file() -> None:
    session = Session(onnx_models.linear(), "churn")
    with pytest.raises(InvalidRequest, match=r"inputs.x: shape is \[1, 3\], the model takes \[-1, 4\]"):
        session.answer(_call(np.zeros((1, 3), np.float32)))


@pytest.mark.parametrize(
    ("kind", "datatype", "values"),
    [
        (TensorProto.BOOL, "BOOL", [True, False]),
        (TensorProto.INT8, "INT8", [-128, 127]),
        (TensorProto.UINT16, "UINT16", [0, 65535]),
        (TensorProto.UINT64, "UINT64", [0, 2**64 - 1]),
        (TensorProto.INT64, "INT64", [-(2**63), 2**63 - 1]),
        (TensorProto.FLOAT16, "FP16", [0.5, -65504.0]),
        (TensorProto.FLOAT, "FP32", [0.5, -3.0]),
        (TensorProto.DOUBLE, "FP64", [0.1, 1e300]),
        (TensorProto.STRING, "BYTES", ["ä", "a\0b"]),
    ],
)
def test_every_datatype_goes_in_and_comes_out_as_it_was(kind: int, datatype: str, values: list[Any]) -> None:
    session = Session(onnx_models.identity(kind), "same")
    raw = msgspec.Raw(msgspec.json.encode(values))
    call = InferCall("", (Tensor("x", datatype, (2,), raw),), (), False)
    (output,) = session.answer(call)
    assert (output.datatype, output.data) == (datatype, values)


def _refusal(model: bytes) -> str:
    with pytest.raises(ConfigError) as refused:
        Session(model, "models/churn.onnx")
    return str(refused.value)


def test_a_file_that_cannot_be_served_is_refused_with_its_name_and_the_reason() -> None:
    whole = onnx_models.linear()
    assert _refusal(whole[: len(whole) // 2]).startswith("models/churn.onnx: ONNX Runtime cannot load it: ")
    newer = onnx_models.model(
        [helper.make_node("Identity", ["x"], ["y"])],
        [onnx_models.tensor("x", TensorProto.FLOAT, [1])],
        [onnx_models.tensor("y", TensorProto.FLOAT, [1])],
        opset=99,
    )
    told = _refusal(newer)
    assert "Opset 99 is under development" in told
    assert "onnxruntime_src" not in told


def test_an_output_that_is_no_tensor_is_refused_with_what_to_do() -> None:
    ml = helper.make_opsetid("ai.onnx.ml", 3)
    values = helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    output = helper.make_value_info("y", helper.make_sequence_type_proto(values))
    node = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
    graph = helper.make_graph([node], "g", [onnx_models.tensor("x", TensorProto.FLOAT, ["n", 2])], [output])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), ml], ir_version=9)
    told = _refusal(made.SerializeToString())
    assert told.startswith("models/churn.onnx: the output y is seq(map(int64,tensor(float))), which is not served")
    assert "zipmap=False" in told


def test_sessions_serve_overlapping_runs() -> None:
    session = Session(onnx_models.rounds(), "slow")

    async def main() -> list[list[Output]]:
        threads = RunThreads(4, 60)
        asked = _int("count", 50, shape=())
        try:
            return await asyncio.gather(*(session.predict(asked, threads, 60) for _ in range(40)))
        finally:
            threads.close()

    assert len({msgspec.msgpack.encode(found) for found in run(main())}) == 1
    assert threading.active_count() < 20

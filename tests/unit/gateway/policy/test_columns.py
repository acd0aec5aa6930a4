"""The rows of a classic model against its schema, on real arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model import Column
from gateway.errors import ConfigError, InvalidRequest, InvalidRow
from gateway.policy import columns
from gateway.policy.columns import DTYPES, Array
from gateway.wire.infer.request import TensorSpec


def check(column: Column, datatype: str, values: list[Any]) -> Array:
    """What comes of one column's values."""
    rows = columns.compile({"c": column}, [TensorSpec("c", datatype, ("N", 1))])
    dtype = np.dtype(object) if None in values else DTYPES[datatype]
    return rows.check({"c": np.array([[value] for value in values], dtype=dtype)})["c"]


def refused(column: Column, datatype: str, values: list[Any]) -> str:
    with pytest.raises(InvalidRow) as told:
        check(column, datatype, values)
    assert (told.value.status, told.value.code, told.value.param) == (400, "invalid_row", "c")
    return told.value.message.removeprefix("row ").replace(', column "c": ', " ")


SIZES = pytest.mark.parametrize("before", [0, 3, 1000], ids=lambda size: f"after {size} good rows")


@SIZES
@pytest.mark.parametrize(
    ("column", "datatype", "good", "bad", "rule"),
    [
        (Column(min=18), "FP32", 18, 17.5, "must be at least 18"),
        (Column(max=0.1), "FP32", 0.1, 0.2, "must be at most 0.1"),
        (Column(max=0.1), "FP16", 0.1, 0.2, "must be at most 0.1"),
        (Column(min=-5, max=5.5), "INT64", 5, 6, "must be at most 5.5"),
        (Column(min=0.5), "INT8", 1, 0, "must be at least 0.5"),
        (Column(max=300), "UINT8", 255, None, "null is refused"),
        (Column(), "FP64", 1e300, math.nan, "null is refused"),
        (Column(), "FP32", -3e38, math.inf, "infinity is refused"),
        (Column(nulls="pass"), "FP32", math.nan, -math.inf, "infinity is refused"),
        (Column(infinities="pass", max=3), "FP32", -math.inf, math.inf, "must be at most 3"),
        (Column(type="integer"), "FP32", -2.0, 2.5, "must be a whole number"),
        (Column(type="integer", infinities="pass"), "FP64", math.inf, 0.1, "must be a whole number"),
        (Column(one_of=(0.1, 7)), "FP32", 0.1, 0.3, "must be one of 0.1, 7"),
        (Column(one_of=(1, 2)), "INT32", 2, 3, "must be one of 1, 2"),
        (Column(one_of=tuple(range(20))), "INT32", 19, 20, "must be one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"),
        (Column(one_of=("free", "pro")), "BYTES", "pro", "Pro", "must be one of free, pro"),
        (Column(one_of=("free", "")), "BYTES", "", None, "null is refused"),
        (Column(), "BYTES", "", None, "null is refused"),
        (Column(one_of=(True,)), "BOOL", True, False, "must be one of True"),
        (Column(), "BOOL", False, None, "null is refused"),
        (Column(nulls="impute", impute=5, min=5), "INT16", 5, 4, "must be at least 5"),
    ],
)
def test_the_first_row_that_breaks_a_rule_is_named_and_its_value_is_not(
    column: Column, datatype: str, good: Any, bad: Any, rule: str, before: int
) -> None:
    check(column, datatype, [good] * (before + 1))
    assert refused(column, datatype, [good] * before + [bad, good, bad]) == f"{before} {rule}"


@SIZES
@pytest.mark.parametrize(
    ("column", "datatype", "null", "value"),
    [
        (Column(nulls="impute", impute=0, max=1), "FP32", math.nan, 0.0),
        (Column(nulls="impute", impute=-1), "INT64", None, -1),
        (Column(nulls="impute", impute=True), "BOOL", None, True),
        (Column(nulls="impute", impute="free", one_of=("free", "pro")), "BYTES", None, "free"),
    ],
)
def test_a_null_is_imputed_in_the_models_own_datatype(
    column: Column, datatype: str, null: Any, value: Any, before: int
) -> None:
    found = check(column, datatype, [value] * before + [null])
    assert found.dtype == DTYPES[datatype]
    assert found.ravel().tolist() == [value] * (before + 1)


def test_what_was_sent_is_not_written_to() -> None:
    sent = np.array([1.0, math.nan], dtype=np.float32)
    rows = columns.compile({"c": Column(nulls="impute", impute=2)}, [TensorSpec("c", "FP32", (-1,))])
    assert rows.check({"c": sent})["c"].tolist() == [1.0, 2.0]
    assert np.isnan(sent[1])


def test_a_null_may_pass_to_a_model_that_knows_what_it_means() -> None:
    found = check(Column(nulls="pass", min=0, one_of=(1, 2)), "FP32", [1, math.nan, 2])
    assert np.isnan(found[1, 0])
    assert refused(Column(nulls="pass", min=0), "FP32", [1, math.nan, -1]) == "2 must be at least 0"


def test_a_row_of_several_values_is_one_row() -> None:
    rows = columns.compile({"c": Column(min=0)}, [TensorSpec("c", "INT64", ("N", 3))])
    with pytest.raises(InvalidRow, match="row 1, "):
        rows.check({"c": np.array([[1, 2, 3], [4, 5, -6], [-1, 0, 0]])})


def test_no_rows_break_no_rule() -> None:
    assert check(Column(min=1), "FP32", []).size == 0
    rows = columns.compile({"a": Column(), "b": Column()}, [TensorSpec("X", "FP32", (-1, 2))])
    assert rows.check({"X": np.empty((0, 2), dtype=np.float32)})["X"].shape == (0, 2)


MATRIX = {"a": Column(min=0, max=1), "b": Column(type="integer"), "c": Column(nulls="impute", impute=9, one_of=(1, 9))}


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_the_columns_of_a_matrix_are_named_in_order(count: int) -> None:
    rows = columns.compile(MATRIX, [TensorSpec("X", "FP32", ("N", 3))])
    good = np.tile(np.array([0.5, 3, 1], dtype=np.float32), (count, 1))
    assert rows.check({"X": good})["X"] is good
    for index, (value, told) in enumerate(
        [(2.0, 'column "a": must be at most 1'), (0.5, 'column "b": must be a whole')]
    ):
        bad = good.copy()
        bad[count - 1, index] = value
        with pytest.raises(InvalidRow, match=f"^row {count - 1}, {told}") as error:
            rows.check({"X": bad})
        assert error.value.param == "ab"[index]
    holed = good.copy()
    holed[count - 1, 2] = math.nan
    assert rows.check({"X": holed})["X"][count - 1].tolist() == [0.5, 3, 9]
    assert np.isnan(holed[count - 1, 2])


def test_a_matrix_of_another_width_is_refused() -> None:
    rows = columns.compile(MATRIX, [TensorSpec("X", "FP32", ("N", "F"))])
    with pytest.raises(InvalidRequest, match='takes 3 columns in each row of "X"'):
        rows.check({"X": np.zeros((2, 4), dtype=np.float32)})


def test_a_matrix_that_lies_by_columns_is_read_the_same() -> None:
    rows = columns.compile(MATRIX, [TensorSpec("X", "FP32", ("N", 3))])
    bad = np.asfortranarray(np.tile(np.array([0.5, 3, 1], dtype=np.float32), (50, 1)))
    bad[20, 0] = -1
    with pytest.raises(InvalidRow, match="row 20"):
        rows.check({"X": bad})


def test_an_input_without_a_column_takes_what_it_gets_but_no_null_it_cannot_hold() -> None:
    rows = columns.compile(
        {"c": Column()},
        [TensorSpec("c", "FP32", (-1,)), TensorSpec("f", "FP32", (-1,)), TensorSpec("i", "INT8", (-1,))],
    )
    good: dict[str, Array] = {
        "c": np.ones(1, dtype=np.float32),
        "f": np.array([math.nan, math.inf], dtype=np.float32),
        "i": np.ones(1, dtype=np.int8),
        "strange": np.ones(1),
    }
    assert rows.check(good) == good
    with pytest.raises(InvalidRow, match='column "i": null is refused'):
        rows.check(good | {"i": np.array([None], dtype=object)})


INPUTS = [TensorSpec("age", "FP32", ("N", 1)), TensorSpec("plan", "BYTES", ("N", 1)), TensorSpec("n", "INT8", ("N", 1))]


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"aeg": Column()}, 'column "aeg" is no input of the model; did you mean age?'),
        ({"age": Column(type="string")}, 'column "age": its type is string, but the model takes FP32'),
        ({"plan": Column(type="number")}, 'column "plan": its type is number, but the model takes BYTES'),
        ({"plan": Column(one_of=(1,))}, 'column "plan": one_of holds a value that is no BYTES'),
        ({"age": Column(one_of=("x",))}, 'column "age": one_of holds a value that is no float32'),
        ({"age": Column(min=1e39)}, 'column "age": min holds a value that is no float32'),
        ({"n": Column(nulls="impute", impute=300)}, 'column "n": impute holds a value that is no int8'),
        ({"n": Column(min=128)}, 'column "n": no int8 passes min 128'),
        ({"n": Column(nulls="pass")}, 'column "n": nulls cannot pass: INT8 has none'),
    ],
)
def test_a_schema_that_does_not_fit_the_model_is_told(schema: dict[str, Column], told: str) -> None:
    with pytest.raises(ConfigError) as error:
        columns.compile(schema, INPUTS)
    assert str(error.value).startswith(told)


def test_a_matrix_of_another_width_than_the_schema_is_told() -> None:
    with pytest.raises(ConfigError, match='has 3 columns, but the one input "X" of the model has 4'):
        columns.compile(MATRIX, [TensorSpec("X", "FP32", (-1, 4))])
    with pytest.raises(ConfigError, match="BF16 input has no columns"):
        columns.compile(MATRIX, [TensorSpec("X", "BF16", (-1, 3))])


FLOATS = st.one_of(
    st.floats(-4, 4, width=32).map(lambda value: round(value * 2) / 2),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0]),
)
RULES = st.builds(
    Column,
    type=st.sampled_from([None, "integer"]),
    min=st.sampled_from([None, -2, 0.5]),
    max=st.sampled_from([None, 2, 3.5]),
    one_of=st.sampled_from([(), (1, 2, 2.5)]),
    nulls=st.sampled_from(["refuse", "pass"]),
    infinities=st.sampled_from(["refuse", "pass"]),
)


def passes(column: Column, value: float) -> bool:
    """The rules again, for one value, as one would say them."""
    if math.isnan(value):
        return column.nulls == "pass"
    return (
        not (math.isinf(value) and column.infinities == "refuse")
        and not (column.min is not None and value < column.min)
        and not (column.max is not None and value > column.max)
        and not (column.type == "integer" and math.isfinite(value) and value != int(value))
        and not (column.one_of and value not in column.one_of)
    )


@given(RULES, st.lists(FLOATS, min_size=1, max_size=40), st.booleans())
def test_an_array_passes_when_each_of_its_values_does(column: Column, values: list[float], matrix: bool) -> None:
    shape = (-1, 1) if matrix else (-1,)
    rows = columns.compile({"c": column}, [TensorSpec("X" if matrix else "c", "FP32", shape)])
    array = np.array(values, dtype=np.float32).reshape(shape)
    good = [passes(column, value) for value in values]
    if all(good):
        rows.check({"X": array, "c": array})
        return
    with pytest.raises(InvalidRow) as told:
        rows.check({"X": array, "c": array})
    assert not good[int(told.value.message.split(",")[0].removeprefix("row "))]

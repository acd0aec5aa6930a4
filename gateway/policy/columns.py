"""The rows of a classic model against its schema: types, ranges, allowed values, nulls.

`compile` compares the schema with the inputs the model's file declares, once, at load; `Rows.check` looks at a call's
arrays. A good batch costs two passes of numpy over each column; only a bad one is looked at closely, to name the row.
Values are what callers sent, so no message repeats one.

Arrays are as `backends.onnx` makes them: a null is NaN in floating-point inputs and None in others, which are object
arrays if they hold text or a null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.config.leaves import Scalar
from gateway.config.model import Column
from gateway.config.shape import nearest
from gateway.errors import ConfigError, InvalidRequest, InvalidRow

Array: TypeAlias = NDArray[Any]

DTYPES: Final[Mapping[str, np.dtype[Any]]] = {
    "BOOL": np.dtype(np.bool_),
    "INT8": np.dtype(np.int8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "UINT8": np.dtype(np.uint8),
    "UINT16": np.dtype(np.uint16),
    "UINT32": np.dtype(np.uint32),
    "UINT64": np.dtype(np.uint64),
    "FP16": np.dtype(np.float16),
    "FP32": np.dtype(np.float32),
    "FP64": np.dtype(np.float64),
    "BYTES": np.dtype(np.object_),
}
"""What an input of each datatype is checked as. Others (BF16) have no columns."""

_FITS: Final[Mapping[str, str]] = {"number": "fiu", "integer": "fiu", "string": "O", "boolean": "b"}
"""The kinds of array that may hold each type."""
_NATURAL: Final[Mapping[str, str]] = {"f": "number", "i": "integer", "u": "integer", "O": "string", "b": "boolean"}
_MANY: Final = 16
"""Comparing with one value after another is faster than `np.isin` up to about this many."""
_FEW: Final = 16
"""Up to about this many values are looked at faster one by one than by numpy."""
_BLOCK: Final = 16
"""Rows of a matrix that are reduced side by side."""
_NAMED: Final = 10
"""How many allowed values a message lists."""

_least: Final = np.minimum.reduce
_most: Final = np.maximum.reduce


class Input(Protocol):
    """An input as a model's file declares it. A dimension is its size, or -1 or a name where any will do."""

    @property
    def name(self) -> str: ...
    @property
    def datatype(self) -> str: ...
    @property
    def shape(self) -> tuple[int | str, ...]: ...


class Rule:
    """What one column may hold, against one datatype. `low` and `high` are bounds in that datatype, None for none."""

    def __init__(self, name: str, column: Column, datatype: str) -> None:
        """Raises ConfigError when the datatype cannot hold what the column says."""
        self.name = name
        self.column = column
        dtype = DTYPES.get(datatype)
        if dtype is None:
            raise ConfigError(f'column "{name}": a {datatype} input has no columns to check')
        self.dtype = dtype
        self.kind = dtype.kind
        kind = column.type or _NATURAL[self.kind]
        if self.kind not in _FITS[kind]:
            raise ConfigError(f'column "{name}": its type is {kind}, but the model takes {datatype}')
        self.whole = kind == "integer" and self.kind == "f"
        self.passes_nulls = column.nulls == "pass"
        if self.passes_nulls and self.kind != "f":
            raise ConfigError(f'column "{name}": nulls cannot pass: {datatype} has none (refuse or impute them)')
        self.low = self._bound("min", column.min)
        self.high = self._bound("max", column.max)
        self.allowed = [self._held("one_of", value) for value in column.one_of]
        self.allowed_set = frozenset(value.item() if isinstance(value, np.generic) else value for value in self.allowed)
        self.fill = None if column.impute is None else self._held("impute", column.impute)

    def check(self, array: Array) -> Array:
        """The array, with nulls imputed if that is asked for. Raises InvalidRow for the first row that breaks a
        rule."""
        if not array.size or self._good(array):
            return array
        array, empty = self._without_nulls(array)
        self._refuse(array, empty)
        return array

    def _good(self, array: Array) -> bool:
        """Whether every value passes, at the price of a pass or two; a NaN or a None is not good."""
        if self.kind == "O":
            values = array.ravel().tolist()
            return self.allowed_set.issuperset(values) if self.allowed else None not in values
        if array.dtype.kind == "O":
            return False
        if array.size <= _FEW:
            return all(map(self._good_value, array.ravel().tolist()))
        if self.low is not None and not _least(array, axis=None) >= self.low:
            return False
        if self.high is not None and not _most(array, axis=None) <= self.high:
            return False
        if self.whole and not (np.trunc(array) == array).all():
            return False
        return not self.allowed or bool(self._is_allowed(array).all())

    def _good_value(self, value: float) -> bool:
        """The same for one value that is no text."""
        if self.low is not None and not value >= self.low:
            return False
        if self.high is not None and not value <= self.high:
            return False
        if self.whole and not value.is_integer():
            return False
        return not self.allowed or value in self.allowed_set

    def _without_nulls(self, array: Array) -> tuple[Array, NDArray[np.bool_]]:
        """The array in the model's own datatype, and where it is null still."""
        if array.dtype.kind == "O":
            empty = _is_none(array)
        else:
            empty = np.isnan(array) if self.kind == "f" else np.zeros(array.shape, dtype=np.bool_)
        if not empty.any():
            return array.astype(self.dtype, copy=False), empty
        if self.column.nulls == "impute":
            filled = array.copy()
            filled[empty] = self.fill
            return filled.astype(self.dtype, copy=False), np.zeros_like(empty)
        if not self.passes_nulls:
            self._refuse_at(empty, "null is refused")
        return array, empty

    def _refuse(self, array: Array, empty: NDArray[np.bool_]) -> None:
        """Raises for the first row that breaks the first rule that is broken."""
        if self.kind == "f" and self.column.infinities == "refuse":
            self._refuse_at(np.isinf(array), "infinity is refused")
        if self.low is not None:
            self._refuse_at((array < self.low) & ~empty, f"must be at least {self.column.min}")
        if self.high is not None:
            self._refuse_at((array > self.high) & ~empty, f"must be at most {self.column.max}")
        if self.whole:
            self._refuse_at((np.trunc(array) != array) & ~empty, "must be a whole number")
        if self.allowed:
            listed = ", ".join(str(value) for value in self.column.one_of[:_NAMED])
            more = ", …" if len(self.allowed) > _NAMED else ""
            self._refuse_at(~self._is_allowed(array) & ~empty, f"must be one of {listed}{more}")

    def _refuse_at(self, bad: NDArray[np.bool_], rule: str) -> None:
        if bad.any():
            values_a_row = max(1, bad.size // (bad.shape[0] if bad.shape else 1))
            row = int(bad.argmax()) // values_a_row
            raise InvalidRow(f'row {row}, column "{self.name}": {rule}', param=self.name)

    def _is_allowed(self, array: Array) -> NDArray[np.bool_]:
        if len(self.allowed) > _MANY and self.kind != "O":
            return np.isin(array, self.allowed)
        found: NDArray[np.bool_] = array == self.allowed[0]
        for value in self.allowed[1:]:
            found |= array == value
        return found

    def _bound(self, key: str, bound: float | None) -> Any:
        """A bound in the column's datatype, so that a value equal to it as written is equal to it as sent."""
        lower = key == "min"
        if self.kind == "f":
            if bound is None:
                limit = math.inf if self.column.infinities == "pass" else float(np.finfo(self.dtype).max)
                return -limit if lower else limit  # which no NaN passes either
            return self._held(key, bound).item()
        if bound is None:
            return None
        whole = math.ceil(bound) if lower else math.floor(bound)
        limits = np.iinfo(self.dtype)
        if whole > limits.max if lower else whole < limits.min:
            raise ConfigError(f'column "{self.name}": no {self.dtype.name} passes {key} {bound}')
        return whole

    def _held(self, key: str, value: Scalar) -> Any:
        """A value of the schema in the column's datatype."""
        fits = True
        held: Any = value
        match self.kind:
            case "O":
                fits = isinstance(value, str)
            case "b":
                fits = isinstance(value, bool)
            case _ if isinstance(value, str | bool):
                fits = False
            case "f":
                fits = math.isfinite(value) and abs(value) <= float(np.finfo(self.dtype).max)
                held = self.dtype.type(value) if fits else None
            case _:
                limits = np.iinfo(self.dtype)
                fits = value == int(value) and limits.min <= value <= limits.max
                held = int(value)
        if not fits:
            held_as = "BYTES" if self.kind == "O" else self.dtype.name
            raise ConfigError(f'column "{self.name}": {key} holds a value that is no {held_as}, which the model takes')
        return held


class Rows:
    """The schema of a model, ready for its calls."""

    def __init__(self, rules: Sequence[Rule], matrix: Input | None) -> None:
        self._rules = rules
        self._matrix = matrix
        self._lows = self._highs = np.empty(0)
        self._bounded = matrix is not None and rules[0].kind == "f"
        if self._bounded:
            self._lows = np.array([rule.low for rule in rules])
            self._highs = np.array([rule.high for rule in rules])
        self._special = [index for index, rule in enumerate(rules) if rule.whole or rule.allowed]

    def check(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The arrays by input name, in the model's own datatypes, with nulls imputed. Rows go along the first axis.

        Raises InvalidRow, naming column, row (from 0) and rule; InvalidRequest when a matrix has another number of
        columns.
        """
        checked = dict(arrays)
        if self._matrix is not None:
            name = self._matrix.name
            if name in checked:
                checked[name] = self._check_matrix(name, checked[name])
            return checked
        for rule in self._rules:
            if rule.name in checked:
                checked[rule.name] = rule.check(checked[rule.name])
        return checked

    def _check_matrix(self, name: str, matrix: Array) -> Array:
        if matrix.ndim != 2 or matrix.shape[1] != len(self._rules):
            message = f'the model takes {len(self._rules)} columns in each row of "{name}"'
            raise InvalidRequest(message, param=name)
        if not matrix.size:
            return matrix
        if self._bounded and self._within(matrix):
            looked_at: Sequence[int] = self._special
        else:
            looked_at = range(len(self._rules))
        changed: Array | None = None
        for index in looked_at:
            column = matrix[:, index]
            checked = self._rules[index].check(column)
            if checked is not column:
                if changed is None:
                    changed = matrix.copy()
                changed[:, index] = checked
        return matrix if changed is None else changed.astype(self._rules[0].dtype, copy=False)

    def _within(self, matrix: Array) -> bool:
        """Whether every column is within its bounds."""
        if len(matrix) <= 2:
            columns = zip(self._lows.tolist(), self._highs.tolist(), *matrix.tolist(), strict=True)
            return all(low <= value <= high for low, high, *values in columns for value in values)
        least, most = _by_column(_least, matrix), _by_column(_most, matrix)
        return bool((least >= self._lows).all() and (most <= self._highs).all())


def _by_column(reduce: Callable[..., Array], matrix: Array) -> Array:
    """`reduce` along the rows. Rows are short, so it is done for blocks of them at once, which takes a third of the
    time."""
    count, width = matrix.shape
    whole = count // _BLOCK * _BLOCK
    if whole == 0 or not matrix.flags.c_contiguous:
        return reduce(matrix, axis=0)
    blocks = reduce(matrix[:whole].reshape(-1, _BLOCK * width), axis=0).reshape(_BLOCK, width)
    found = reduce(blocks, axis=0)
    return found if whole == count else reduce(np.stack((found, reduce(matrix[whole:], axis=0))), axis=0)


def _is_none(array: Array) -> NDArray[np.bool_]:
    return np.array([value is None for value in array.ravel().tolist()], dtype=np.bool_).reshape(array.shape)


def compile(columns: Mapping[str, Column], inputs: Sequence[Input]) -> Rows:  # noqa: A001 - read as columns.compile
    """The rows a model takes: each column is an input, or all are the columns of its one matrix input, in order.

    Inputs without a column take what they get, but no null where their datatype has none. Raises ConfigError when
    schema and inputs do not agree, naming the column.
    """
    known = {each.name: each for each in inputs}
    strangers = [name for name in columns if name not in known]
    if not strangers:
        rules = [Rule(name, column, known[name].datatype) for name, column in columns.items()]
        rest = [each for name, each in known.items() if name not in columns and _has_no_null(each)]
        return Rows([*rules, *(Rule(each.name, Column(), each.datatype) for each in rest)], None)
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and len(strangers) == len(columns):
        (matrix,) = inputs
        width = matrix.shape[1]
        if isinstance(width, int) and width >= 0 and width != len(columns):
            raise ConfigError(
                f'the schema has {len(columns)} columns, but the one input "{matrix.name}" of the model has {width}'
            )
        return Rows([Rule(name, column, matrix.datatype) for name, column in columns.items()], matrix)
    raise ConfigError(f'column "{strangers[0]}" is no input of the model; {nearest(strangers[0], list(known))}')


def _has_no_null(each: Input) -> bool:
    return each.datatype in DTYPES and DTYPES[each.datatype].kind != "f"

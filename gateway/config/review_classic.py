"""What must hold within a classic model: what can be said of its schema without its file. Pure.

Whether the schema agrees with the file is looked at when the file is read (`policy.columns.compile`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from gateway.config.leaves import Scalar
from gateway.config.model import CLASSIC_MODELS, Column, Onnx, Version
from gateway.config.places import Finding
from gateway.config.shape import Path, nearest

_KINDS: dict[str, str] = {
    "number": "a number",
    "integer": "a whole number",
    "string": "a text",
    "boolean": "true or false",
}


def problems(path: Path, model: Onnx) -> Iterator[Finding]:
    """Everything at `path` (`models.NAME`) for which the model must not run."""
    for name, version in model.versions.items():
        here = (*path, "versions", name)
        if isinstance(version, Version):
            yield from _file((*here, "path"), version.path)
            yield from schema((*here, "schema"), version.schema)
        else:
            yield from _file(here, version)
    yield from schema((*path, "schema"), model.schema)


def schema(path: Path, columns: Mapping[str, Column]) -> Iterator[Finding]:
    """Everything for which a schema at `path` must not be used."""
    for name, column in columns.items():
        yield from _column((*path, name), column)


def _file(path: Path, file: str) -> Iterator[Finding]:
    if "/" not in file and not file.endswith(".onnx") and file not in CLASSIC_MODELS:
        known = nearest(file, list(CLASSIC_MODELS))
        yield Finding(path, f"unknown model (a path holds a / or ends with .onnx); {known}")


def _column(path: Path, column: Column) -> Iterator[Finding]:
    kind = column.type or _told_by(column)
    for name in ("min", "max"):
        bound = getattr(column, name)
        if bound is not None and not math.isfinite(bound):
            yield Finding((*path, name), "a bound is a finite number; leave it out for none")
        elif bound is not None and kind in ("string", "boolean"):
            yield Finding((*path, name), f"only numbers have a {name}, and this column is of type {kind}")
    if column.min is not None and column.max is not None and column.min > column.max:
        yield Finding((*path, "min"), f"larger than max ({column.max:g}): no value would pass", (*path, "max"))
    for index, value in enumerate(column.one_of):
        here = (*path, "one_of", index)
        if kind is not None and not _is(value, kind):
            yield Finding(here, f"expected {_KINDS[kind]}, as the column's other values are")
        elif value in column.one_of[:index]:
            yield Finding(here, "it is in this list twice")
        else:
            yield from _within(here, value, column)
    if column.nulls == "impute" and column.impute is None:
        yield Finding((*path, "nulls"), "the key impute is missing: the value that takes a null's place")
    if column.impute is None:
        return
    here = (*path, "impute")
    if column.nulls != "impute":
        yield Finding(here, "this value is used only with nulls: impute")
    if kind is not None and not _is(column.impute, kind):
        yield Finding(here, f"expected {_KINDS[kind]}, as the column's other values are")
    elif column.one_of and column.impute not in column.one_of:
        yield Finding(here, "this value is not in one_of, so a row with it would be refused", (*path, "one_of"))
    else:
        yield from _within(here, column.impute, column)


def _within(path: Path, value: Scalar, column: Column) -> Iterator[Finding]:
    """A value the schema itself names must pass its own bounds."""
    if isinstance(value, str | bool):
        return
    if not math.isfinite(value):
        yield Finding(path, "expected a finite number")
    elif (column.min is not None and value < column.min) or (column.max is not None and value > column.max):
        yield Finding(path, "this value is outside min and max, so a row with it would be refused")


def _told_by(column: Column) -> str | None:
    """The type that a column's other keys tell of, when it names none itself."""
    if column.min is not None or column.max is not None:
        return "number"
    for value in column.one_of:
        return "string" if isinstance(value, str) else "boolean" if isinstance(value, bool) else "number"
    return None


def _is(value: Scalar, kind: str) -> bool:
    match kind:
        case "string":
            return isinstance(value, str)
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return not isinstance(value, bool | str) and value == int(value) if _finite(value) else False
        case _:
            return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: Scalar) -> bool:
    return not isinstance(value, str) and math.isfinite(value)

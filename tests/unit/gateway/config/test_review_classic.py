"""What can be said of a schema without the model's file."""

from __future__ import annotations

import math
from typing import Any

import pytest

from gateway.config import review_classic
from gateway.config.model import CLASSIC_MODELS, Column, Onnx, Version
from gateway.config.shape import dotted


def problems(model: Onnx) -> list[str]:
    return [f"{dotted(finding.path)}: {finding.message}" for finding in review_classic.problems(("models", "m"), model)]


def told(**settings: Any) -> list[str]:
    found = problems(Onnx(versions={"1": "m.onnx"}, schema={"c": Column(**settings)}))
    return [text.removeprefix("models.m.schema.c.") for text in found]


@pytest.mark.parametrize("path", ["m.onnx", "./m", "models/m", *CLASSIC_MODELS])
def test_a_path_or_a_known_name_is_no_problem(path: str) -> None:
    assert problems(Onnx(versions={"1": path, "2": Version(path=path)})) == []


def test_a_name_that_is_neither_is_told_in_both_ways_of_writing_it() -> None:
    assert problems(Onnx(versions={"1": "magica", "2": Version(path="magica")})) == [
        "models.m.versions.1: unknown model (a path holds a / or ends with .onnx); did you mean magika?",
        "models.m.versions.2.path: unknown model (a path holds a / or ends with .onnx); did you mean magika?",
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"type": "number", "min": 18, "max": 120},
        {"min": 0, "max": 0},
        {"one_of": ("free", "pro"), "nulls": "impute", "impute": "free"},
        {"type": "boolean", "one_of": (True,)},
        {"type": "integer", "min": -5, "one_of": (1, 2.0), "nulls": "impute", "impute": 2},
        {"nulls": "pass", "infinities": "pass"},
    ],
)
def test_a_good_column_raises_no_question(settings: dict[str, Any]) -> None:
    assert told(**settings) == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"min": 2, "max": 1}, "min: larger than max (1): no value would pass"),
        ({"max": math.inf}, "max: a bound is a finite number; leave it out for none"),
        ({"type": "string", "min": 1}, "min: only numbers have a min, and this column is of type string"),
        ({"type": "boolean", "max": 1}, "max: only numbers have a max, and this column is of type boolean"),
        ({"type": "integer", "one_of": (1.5,)}, "one_of[0]: expected a whole number, as the column's other values are"),
        ({"one_of": ("free", 1)}, "one_of[1]: expected a text, as the column's other values are"),
        ({"one_of": (1, True)}, "one_of[1]: expected a number, as the column's other values are"),
        ({"one_of": ("a", "a")}, "one_of[1]: it is in this list twice"),
        ({"max": 1, "one_of": (2,)}, "one_of[0]: this value is outside min and max, so a row with it would be refused"),
        ({"one_of": (math.nan,)}, "one_of[0]: expected a finite number"),
        ({"nulls": "impute"}, "nulls: the key impute is missing: the value that takes a null's place"),
        ({"impute": 1}, "impute: this value is used only with nulls: impute"),
        ({"nulls": "impute", "min": 1, "impute": 0}, "impute: this value is outside min and max, so a row with it"),
        ({"nulls": "impute", "impute": "x", "one_of": ("a",)}, "impute: this value is not in one_of, so a row with it"),
        ({"nulls": "impute", "impute": True, "min": 0}, "impute: expected a number, as the column's other values are"),
        ({"nulls": "impute", "impute": math.inf}, "impute: expected a finite number"),
    ],
)
def test_a_column_that_contradicts_itself_is_told(settings: dict[str, Any], message: str) -> None:
    (found,) = told(**settings)
    assert found.startswith(message)


def test_the_columns_of_a_version_are_looked_at_too() -> None:
    version = Version(path="m.onnx", schema={"c": Column(min=2, max=1)})
    assert problems(Onnx(versions={"1": version}))[0].startswith("models.m.versions.1.schema.c.min: larger than max")

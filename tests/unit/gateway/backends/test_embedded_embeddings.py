from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.embedded_embeddings import BATCH_ROWS, BATCH_TOKENS, MAX_INPUTS, batches, main, parse_inputs
from gateway.errors import InvalidRequest


def test_every_form_of_input_is_a_list_of_texts_or_of_token_ids() -> None:
    assert parse_inputs("x") == ["x"]
    assert parse_inputs(["x", "y"]) == ["x", "y"]
    assert parse_inputs([1, 2]) == [[1, 2]]
    assert parse_inputs([[1], [2, 3]]) == [[1], [2, 3]]


@pytest.mark.parametrize(
    ("value", "param"),
    [
        (None, "input"),
        ({}, "input"),
        ([], "input"),
        ("", "input[0]"),
        (["x", ""], "input[1]"),
        (["x", 1], "input[1]"),
        ([1, "x"], "input[0]"),
        ([[1], []], "input[1]"),
        ([[True]], "input[0]"),
        ([1.5], "input[0]"),
        (["x"] * (MAX_INPUTS + 1), "input"),
    ],
)
def test_what_is_wrong_with_an_input_is_named(value: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as error:
        parse_inputs(value)
    assert error.value.param == param


@given(st.lists(st.integers(1, 512), min_size=1, max_size=200))
def test_batches_hold_every_row_once_and_stay_within_their_bounds(lengths: list[int]) -> None:
    groups = batches(lengths)
    assert sorted(index for group in groups for index in group) == list(range(len(lengths)))
    for group in groups:
        padded = len(group) * max(lengths[index] for index in group)
        assert len(group) <= BATCH_ROWS
        assert len(group) == 1 or padded <= BATCH_TOKENS


def test_a_chat_model_is_not_served_as_an_embedding_model() -> None:
    with pytest.raises(SystemExit, match="not an embedding model"):
        main(["--model", "smollm2-135m"])

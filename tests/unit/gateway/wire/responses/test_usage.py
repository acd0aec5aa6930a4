"""Usage as the Responses API counts it, from and to our disjoint classes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.wire.responses.usage import from_answer, to_counts
from gateway.wire.usage import Usage


def test_cached_input_and_reasoning_are_parts_of_their_totals_there_and_not_here() -> None:
    usage = Usage(36, 64, 20, 10)
    counts = to_counts(usage)
    assert counts == {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 0},
        "output_tokens": 30,
        "output_tokens_details": {"reasoning_tokens": 10},
        "total_tokens": 130,
    }
    assert from_answer(json.dumps({"id": "r", "output": [], "usage": counts}).encode()) == usage


@pytest.mark.parametrize(
    ("usage", "read"),
    [
        ({"input_tokens": 7, "output_tokens": 3}, Usage(7, 0, 3, 0)),
        ({"input_tokens": 7, "output_tokens": 3, "input_tokens_details": None}, Usage(7, 0, 3, 0)),
        ({"input_tokens": 7, "output_tokens": 3, "input_tokens_details": {"cached_tokens": 9}}, Usage(7, 0, 3, 0)),
        ({"input_tokens": "7", "output_tokens": 3}, None),
        ({"type": "duration", "seconds": 3}, None),
        ([], None),
        (None, None),
    ],
)
def test_what_cannot_be_believed_does_not_count(usage: Any, read: Usage | None) -> None:
    assert from_answer(json.dumps({"usage": usage}).encode()) == read


@pytest.mark.parametrize("body", [b"", b"WEBVTT\n\n", b"[]", b"\xff", b"[" * 9999])
def test_what_is_no_answer_states_nothing(body: bytes) -> None:
    assert from_answer(body) is None


def test_unknown_usage_is_told_as_unknown() -> None:
    assert to_counts(None) is None

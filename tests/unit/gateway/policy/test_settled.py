from __future__ import annotations

from typing import Any

import pytest

from gateway.config.snapshot_meters import Price
from gateway.policy.settled import charged, unstated
from gateway.wire.usage import Usage
from tests.support.journals import a_record

PRICE = Price(input=10**9, cached_input=10**9, output=2 * 10**9, reasoning=2 * 10**9, request=100)


@pytest.mark.parametrize(
    ("columns", "sent", "found"),
    [
        ({"outcome": "answered", "answer_bytes": 7}, True, (40, 7, "bound")),
        ({"outcome": "answered", "answer_bytes": 700}, True, (40, 30, "bound")),
        ({"outcome": "failed", "stream": True, "status": 200, "answer_bytes": 5}, True, (40, 5, "bound")),
        ({"outcome": "failed", "stream": True, "status": 502, "answer_bytes": 5}, True, (0, 0, "none")),
        ({"outcome": "cancelled"}, True, (40, 30, "held")),
        ({"outcome": "cancelled"}, False, (0, 0, "none")),
        ({"outcome": "answered", "endpoint": "infer"}, True, (0, 0, "backend")),
        ({"outcome": "failed", "endpoint": "infer"}, True, (0, 0, "none")),
    ],
)
def test_what_nobody_stated_is_what_it_was_at_most(
    columns: dict[str, Any], sent: bool, found: tuple[int, int, str]
) -> None:
    record = a_record(held_input=40, held_output=30, **columns)
    assert unstated(record, sent=sent) == found


def test_a_caller_that_left_pays_for_what_was_wasted_and_nobody_else_does() -> None:
    usage = Usage(10, 0, 5, 0)
    assert charged(PRICE, usage, "running", 3, left=True) == (100 + 10 + 10 + 6, 6)
    assert charged(PRICE, usage, "running", 3, left=False) == (100 + 10 + 10, 6)


def test_a_request_that_used_nothing_costs_nothing_not_even_its_own_price() -> None:
    assert charged(PRICE, Usage(0, 0, 0, 0), "none", 0, left=False) == (0, 0)

from __future__ import annotations

import pytest

from gateway.cli.meters_table import amount, owners_table, rows, table
from gateway.policy.authority import BucketState, Lease


@pytest.mark.parametrize(
    ("quantity", "value", "text"),
    [
        ("requests", 1_234_567, "1,234,567"),
        ("usd", 0, "$0.00"),
        ("usd", 500 * 10**9, "$500.00"),
        ("usd", 1_234_500_000_000, "$1,234.50"),
        ("usd", 1, "$0.000000001"),
        ("usd", -1_500_000_000, "-$1.50"),
    ],
)
def test_money_is_exact_and_whole_numbers_are_grouped(quantity: str, value: int, text: str) -> None:
    assert amount(quantity, value) == text


STATES = {
    "tenant:acme|usd|month@Europe/Berlin|2026-11": BucketState(
        4 * 10**9, {}, {"s:0-1": Lease(3 * 10**9, 10**9, 0), "s:1-1": Lease(5, 5)}, cap=10 * 10**9
    ),
    "key:acme/app|requests|60s|": BucketState(99, {100: 9, 10: 90}, {}, cap=10, window_s=60, slot_s=1),
    "gateway:|concurrent||": BucketState(0, {}, {"s:0-1": Lease(4)}, cap=40),
}


def test_buckets_with_the_least_left_come_first() -> None:
    lines = list(table(rows(STATES, now_s=120)))
    assert len({len(line) for line in lines}) == 1
    assert [line.split() for line in lines[2:]] == [
        ["key:acme/app", "requests", "60s", "9", "0", "10", "1", "0"],
        ["tenant:acme", "usd", "month@Europe/Berlin", "2026-11", "$4.00", "$2.00", "$10.00", "$4.00", "1"],
        ["gateway:", "concurrent", "–", "0", "4", "40", "36", "1"],
    ]


def test_what_a_row_says() -> None:
    (first, *_) = rows(STATES, now_s=120)
    assert first == {
        "bucket": "key:acme/app|requests|60s|",
        "meter": "key:acme/app",
        "quantity": "requests",
        "window": "60s",
        "used": 9,
        "leased": 0,
        "cap": 10,
        "left": 1,
        "owners": [],
    }


def test_owners_are_told_with_what_they_may_still_spend() -> None:
    leases = {"s:0-1": {"a|usd||": 2 * 10**9, "b|requests||": 5, "c|requests||": 1}, "s:1-1": {"a|usd||": 0}}
    lines = list(owners_table(leases, {"s:0-1": "alive", "s:1-1": "to be settled"}))
    assert [line.rstrip() for line in lines[2:]] == [
        "s:0-1  alive                3  6 requests, $2.00",
        "s:1-1  to be settled        1  nothing",
    ]

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.config.model_meters import MeterEntry
from gateway.config.snapshot_meters import meter
from gateway.policy.account import Account


def account(**entry: object) -> Account:
    return Account(meter("tenant", MeterEntry(**entry)))  # type: ignore[arg-type]


def test_what_is_spent_and_held_is_used() -> None:
    found = account(cap="100 usd", window="day", at={"800": "warn"})
    found.held = 30
    assert (found.used(1000), found.remaining(1000)) == (30, 70)
    assert found.spend("k", 60, 1000) == 0
    assert (found.used(1000), found.remaining(1000)) == (90, 10)
    assert [found.spend("k", 20, 1000), found.spend("k", 1, 1000)] == [80, 0]  # a warning is told once


@given(st.integers(1, 7200), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 50)), max_size=20))
def test_a_rolling_window_counts_what_was_spent_in_it_and_at_most_a_slot_more(
    seconds: int, spends: list[tuple[int, int]]
) -> None:
    found = account(cap="1000000 requests", window=f"{seconds}s")
    spends.sort()
    for at_s, amount in spends:
        found.spend("k", amount, at_s)
    for now_s in {at_s for at_s, _ in spends} | {6000}:
        past = [(at_s, amount) for at_s, amount in spends if at_s <= now_s]
        least = sum(amount for at_s, amount in past if at_s > now_s - seconds)
        most = sum(amount for at_s, amount in past if at_s > now_s - seconds - found.meter.window.slot_s)
        if now_s >= max((at_s for at_s, _ in spends), default=0):
            assert least <= found.used(now_s) <= most

"""Leases in memory under thousands of requests: nothing is overshot, refused for nothing or lost; and an authority
that is broken is seen."""

from __future__ import annotations

import pytest

from gateway.config.snapshot_meters import CONCURRENT, REQUESTS
from tests.chaos.simulation import Simulated, simulate

MOST_FALSE = 0.01
PLANS = {
    "money": Simulated(),
    "a large budget": Simulated(cap=10**12),
    "tight slots": Simulated(quantity=CONCURRENT, cap=40),
    "slots": Simulated(quantity=CONCURRENT, cap=300),
    "requests": Simulated(quantity=REQUESTS, cap=3_000),
    "workers that die": Simulated(kills=3),
}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_four_workers_overshoot_nothing_and_refuse_next_to_nothing_falsely(plan: Simulated, seed: int) -> None:
    plan.seed = seed
    outcome = simulate(plan)
    assert outcome.overshoot == 0
    assert outcome.left_held == 0
    assert outcome.judged > 100 or plan.quantity == CONCURRENT
    assert len(outcome.false) <= MOST_FALSE * outcome.judged, outcome.false[:5]


def test_one_worker_refuses_nothing_that_a_serial_meter_would_admit() -> None:
    outcome = simulate(Simulated(workers=1, callers=500))
    assert outcome.refused > 500
    assert outcome.false == []


def test_what_is_left_at_the_end_is_less_than_was_refused() -> None:
    outcome = simulate(Simulated(requests=8_000, largest=2_000, cap=1_000_000))
    assert outcome.rest < 2_000


def test_far_from_the_cap_the_authority_is_hardly_asked() -> None:
    outcome = simulate(Simulated(cap=10**12, requests=20_000))
    assert outcome.calls * 50 <= outcome.admitted


def test_an_authority_that_forgets_is_seen_to_overshoot() -> None:
    assert simulate(Simulated(forgetful=True)).overshoot > 0

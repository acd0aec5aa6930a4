from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.policy.authority import BucketState, Lease, encode
from gateway.policy.survey import Kind, is_over, survey

BERLIN = ZoneInfo("Europe/Berlin")
NOW_NS = int(datetime(2026, 11, 22, 12, tzinfo=BERLIN).timestamp()) * 10**9
NOW_S = NOW_NS // 10**9
UNSPENT, TOLD = {"s:0-1": Lease(5, 4)}, {"s:0-1": Lease(5, 4, 1)}


@pytest.mark.parametrize(
    ("window", "state", "over"),
    [
        ("day@Europe/Berlin|2026-11-22", BucketState(5), False),
        ("day@Europe/Berlin|2026-11-20", BucketState(5), False),
        ("day@Europe/Berlin|2026-11-19", BucketState(5), True),
        ("day@Europe/Berlin|2026-11-19", BucketState(5, {}, UNSPENT), False),
        ("day@Europe/Berlin|2026-11-19", BucketState(5, {}, TOLD), True),
        ("day@Europe/Berlin|2026-11-24", BucketState(5), False),
        ("week@UTC|2026-W46", BucketState(5), True),
        ("week@UTC|2026-W47", BucketState(5), False),
        ("month@UTC|2026-10", BucketState(5), True),
        ("month@UTC|2026-11", BucketState(5), False),
        ("lifetime|", BucketState(5), False),
        ("|", BucketState(0), True),
        ("|", BucketState(0, {}, TOLD), False),
        ("60s|", BucketState(5, {NOW_S: 5}, {}, window_s=60, slot_s=1), False),
        ("60s|", BucketState(5, {NOW_S - 3_600: 5}, {}, window_s=60, slot_s=1), False),  # a clock may be set back
        ("60s|", BucketState(5, {NOW_S - 200_000: 5}, {}, window_s=60, slot_s=1), True),
        ("60s|", BucketState(5, {NOW_S - 200_000: 5}, TOLD, window_s=60, slot_s=1), False),
    ],
)
def test_a_bucket_is_over_when_nobody_will_miss_it(window: str, state: BucketState, over: bool) -> None:
    assert is_over(f"tenant:acme|usd|{window}", state, NOW_NS) is over


def test_owners_are_told_of_buckets_that_stay() -> None:
    states = {"tenant:acme|usd|lifetime|": BucketState(5, {}, UNSPENT), "|": BucketState(0, {}, {"s:1-1": Lease(1)})}
    states["tenant:acme|usd|day@UTC|2026-08-01"] = BucketState(5, {}, {"s:2-1": Lease(1, 1)})
    assert survey({key: encode(state) for key, state in states.items()}, NOW_NS).owners == {"s:0-1", "s:1-1"}


def test_buckets_are_counted_by_closed_sets_of_names() -> None:
    found = survey(
        {
            "tenant:acme|usd|lifetime|": encode(BucketState(94, cap=100)),
            "tenant.end_user:acme/u-7|usd|month@UTC|2026-11": encode(BucketState(95, cap=100)),
            "tenant.end_user:acme/u-8|usd|month@UTC|2026-08": encode(BucketState(95, cap=100)),
            "gateway:|concurrent||": encode(BucketState(0, {}, UNSPENT, cap=40)),
            "key:acme/app|requests|60s|": b"\xc1",
        },
        NOW_NS,
    )
    assert found.buckets == {Kind("tenant", "usd"): 2, Kind("gateway", "concurrent"): 1, Kind("key", "requests"): 1}
    assert found.nearly_used_up == {Kind("tenant", "usd"): 1}
    assert found.over == ["tenant.end_user:acme/u-8|usd|month@UTC|2026-08"]

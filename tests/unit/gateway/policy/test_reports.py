from __future__ import annotations

import sys

from gateway.config.snapshot_meters import CONCURRENT, MONEY, REQUESTS
from gateway.policy import reports
from gateway.policy.authority import BucketState, exchange
from gateway.policy.leases import SECOND_NS, Bucket, Hold, Leases
from tests.support.meters import meter, needs, rolling

NOW_S = 1_000
HERE = (1, 32)


class Told:
    """Leases, and an authority they are told to at once."""

    def __init__(self) -> None:
        self.leases = Leases()
        self.leases.turn(NOW_S * SECOND_NS)
        self.states: dict[str, BucketState] = {}

    def tell(self, bucket: Bucket, least: int = 0, need: int = 0, now_s: float = 0.0, *, lost: bool = False) -> None:
        """One exchange; `lost`: its reply."""
        report = reports.build(self.leases, bucket, HERE, now_s, least, need)
        reply = exchange(self.states.setdefault(bucket.key, BucketState()), "s:1", report, NOW_S)
        if lost:
            reports.unheard(self.leases, bucket)
        else:
            reports.learn(self.leases, bucket, report, reply, now_s)


def test_the_first_slice_lasts_for_some_requests_and_later_ones_grow_while_they_are_soon_used_up() -> None:
    told = Told()
    money = told.leases.bucket(meter(MONEY, 10**9), "m")
    bundle = told.leases.bundle([money])
    assert told.leases.hold(bundle, needs(nanos=100)) is money
    told.tell(money, 100, 100)
    assert money.slack == reports.FIRST_SLICE * 100
    sizes = []
    for second in range(1, 4):
        while not told.leases.thirsty:
            assert isinstance(told.leases.hold(bundle, needs(nanos=100)), Hold)
        told.tell(money, now_s=float(second))
        sizes.append(money.slice)
    assert sizes == [1600, 3200, 6400]


def test_a_lost_reply_loses_nothing() -> None:
    told = Told()
    money = told.leases.bucket(meter(MONEY, 1_000), "m")
    told.tell(money, 100, 100, lost=True)
    told.tell(money, 100, 100)
    assert money.slack == 100
    hold = told.leases.hold(told.leases.bundle([money]), needs(nanos=60))
    assert isinstance(hold, Hold)
    told.leases.settle(hold, needs(nanos=50))
    told.tell(money, lost=True)
    told.tell(money)
    assert (told.states["m"].settled, told.states["m"].leased()) == (50, money.slack)
    assert not reports.untold(money)


def test_slots_that_were_acknowledged_are_told_no_more() -> None:
    told = Told()
    window = rolling(60)
    requests = told.leases.bucket(meter(REQUESTS, 100, window), "r")
    told.tell(requests, 10, 10)
    bundle = told.leases.bundle([requests])
    told.leases.hold(bundle, needs(requests=1))
    told.tell(requests, lost=True)
    told.leases.hold(bundle, needs(requests=1))
    told.leases.turn((NOW_S + 1) * SECOND_NS)
    told.leases.hold(bundle, needs(requests=1))
    told.tell(requests)
    assert told.states["r"].slots == {NOW_S: 2, NOW_S + 1: 1}
    assert requests.spends == []


def test_what_was_spent_while_the_report_was_on_its_way_is_told_next() -> None:
    told = Told()
    requests = told.leases.bucket(meter(REQUESTS, 100, rolling(60)), "r")
    told.tell(requests, 10, 10)
    bundle = told.leases.bundle([requests])
    told.leases.hold(bundle, needs(requests=1))
    report = reports.build(told.leases, requests, HERE, 0.0)
    told.leases.hold(bundle, needs(requests=1))
    told.leases.mark(requests)
    reports.learn(told.leases, requests, report, exchange(told.states["r"], "s:1", report, NOW_S), 0.0)
    assert requests.spends == [(NOW_S, 1)]
    assert requests in told.leases.fresh
    told.tell(requests)
    assert told.states["r"].slots == {NOW_S: 2}


def test_what_nobody_used_for_a_while_is_given_back_and_then_dropped() -> None:
    told = Told()
    money = told.leases.bucket(meter(MONEY, 1_000), "m")
    told.tell(money, 100, 100)
    reports.look_after(told.leases, 4.9)
    assert money.slack == 100
    reports.look_after(told.leases, 5.0)
    assert (money.slack, list(told.leases.fresh)) == (0, [money])
    told.tell(money, now_s=5.0)
    assert told.states["m"].leased() == 0
    reports.look_after(told.leases, 10.0)
    assert money.gone
    assert told.leases.buckets == {}
    again = told.leases.bucket(meter(MONEY, 1_000), "m")
    told.tell(again, 70, 70)
    assert (again.slack, again.held, told.states["m"].leased()) == (70, 0, 70)


def test_a_small_part_of_what_is_left_is_kept_for_callers_that_ask_now_and_then() -> None:
    told = Told()
    money = told.leases.bucket(meter(MONEY, 100_000), "m")
    told.tell(money, 100, 100)
    reports.look_after(told.leases, 5.0)
    assert (money.slack, list(told.leases.kept)) == (100, [money])
    hold = told.leases.hold(told.leases.bundle([money]), needs(nanos=1))
    assert isinstance(hold, Hold)
    assert not told.leases.kept
    told.leases.settle(hold, needs())
    told.tell(money, now_s=6.0)
    reports.look_after(told.leases, 11.0)
    reports.look_after(told.leases, 11.0 + reports.KEEPS_S)
    assert (money.slack, list(told.leases.kept)) == (0, [])


def test_a_bucket_of_which_a_long_stream_holds_is_kept_and_its_end_is_told() -> None:
    told = Told()
    slots = told.leases.bucket(meter(CONCURRENT, 10), "c")
    money = told.leases.bucket(meter(MONEY, 1_000), "m")
    for bucket in (slots, money):
        told.tell(bucket, 100 if bucket is money else 1, 100)
    hold = told.leases.hold(told.leases.bundle([slots, money]), needs(concurrent=1, nanos=100))
    assert isinstance(hold, Hold)
    for bucket in (slots, money):
        told.tell(bucket)
    reports.look_after(told.leases, 60.0)
    assert told.leases.busy == {slots, money}
    told.leases.settle(hold, needs(concurrent=1, nanos=40))
    reports.look_after(told.leases, 61.0)
    assert list(told.leases.fresh) == [money]  # of concurrency nothing is spent: there is nothing to tell
    told.tell(money, now_s=61.0)
    assert told.states["m"].settled == 40


def test_what_was_given_back_is_not_asked_for_again_until_somebody_is_short() -> None:
    told = Told()
    money = told.leases.bucket(meter(MONEY, 1_000), "m")
    told.tell(money, 100, 100)
    told.leases.give_back(money)
    told.tell(money)
    assert (money.slack, told.states["m"].leased()) == (0, 0)


def test_a_live_bucket_takes_less_than_a_kilobyte() -> None:
    told = Told()
    keys = [f"tenant:company-{n:07d}|usd|month@Europe/Berlin|2026-11" for n in range(2_000)]
    shared = meter(MONEY, 10**15)
    before = _live_bytes(told.leases)
    for key in keys:
        told.tell(told.leases.bucket(shared, key), 10**9, 10**9)
    assert (_live_bytes(told.leases) - before) / len(keys) < 1_000


def _attributes() -> list[str]:
    """Of a bucket, interpreted or compiled."""
    kinds = ("member_descriptor", "getset_descriptor")
    return [name for name, value in vars(Bucket).items() if type(value).__name__ in kinds]


def _live_bytes(leases: Leases) -> int:
    """Bytes of buckets with all that only they refer to, and of the tables they are in."""
    tables = sum(sys.getsizeof(each) for each in (leases.buckets, leases.fresh, leases.busy, leases.resting))
    own = 0
    for bucket in leases.buckets.values():
        values = {id(each): each for name in _attributes() for each in [getattr(bucket, name)] if name != "meter"}
        own += sys.getsizeof(bucket) + sum(sys.getsizeof(each) for each in values.values() if each not in (0, False))
    return tables + own


def test_a_bucket_is_not_dropped_while_a_reply_is_on_its_way() -> None:
    """It would be made again, and both would tell their own sums of one lease."""
    told = Told()
    money = told.leases.bucket(meter(MONEY, 1_000), "m")
    told.tell(money)
    assert money in told.leases.resting
    report = reports.build(told.leases, money, HERE, 0.0, 100, 100)
    reports.look_after(told.leases, 2 * reports.RESTS_S)
    assert told.leases.buckets == {"m": money}
    assert not money.gone
    reply = exchange(told.states["m"], "s:1", report, NOW_S)
    reports.learn(told.leases, money, report, reply, 2 * reports.RESTS_S)
    assert money.slack == 100


def test_a_bucket_is_not_dropped_either_when_who_waited_for_the_reply_has_left() -> None:
    told = Told()
    money = told.leases.bucket(meter(MONEY, 1_000), "m")
    money.waiting = 1
    told.tell(money)
    assert money in told.leases.busy
    reports.build(told.leases, money, HERE, 0.0, 100, 100)
    money.waiting = 0
    reports.look_after(told.leases, 1.0)
    reports.look_after(told.leases, 2 * reports.RESTS_S)
    assert not money.gone

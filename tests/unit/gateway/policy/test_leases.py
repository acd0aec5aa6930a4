from __future__ import annotations

from gateway.config.snapshot_meters import CONCURRENT, INPUT, MONEY, OUTPUT, REQUESTS
from gateway.policy.leases import ALARM, SECOND_NS, Bucket, Hold, Leases
from tests.support.meters import LIFETIME, meter, needs, rolling

CALL = needs(requests=1, input_tokens=10, output=100, concurrent=1, nanos=5_000)


def filled(leases: Leases, quantity: int, slack: int, key: str = "") -> Bucket:
    """A bucket with that much in the pocket."""
    bucket = leases.bucket(meter(quantity, 10**6), key or str(quantity))
    bucket.known = True
    bucket.granted = bucket.slack = bucket.slice = slack
    return bucket


def taken(held: Hold | Bucket) -> Hold:
    assert isinstance(held, Hold)
    return held


def test_a_hold_takes_of_every_bucket_and_a_settle_gives_the_rest_back() -> None:
    leases = Leases()
    buckets = [filled(leases, quantity, 10_000) for quantity in (MONEY, OUTPUT, INPUT, CONCURRENT, REQUESTS)]
    bundle = leases.bundle(buckets)
    hold = taken(leases.hold(bundle, CALL))
    assert [each.slack for each in buckets] == [5_000, 9_900, 9_990, 9_999, 9_999]
    assert [each.held for each in buckets] == [5_000, 100, 10, 1, 0]
    leases.settle(hold, needs(1, 7, 40, 1, 2_000))
    assert [each.slack for each in buckets] == [8_000, 9_960, 9_993, 10_000, 9_999]
    assert [each.total for each in buckets] == [2_000, 40, 7, 0, 1]
    assert [each.held for each in buckets] == [0, 0, 0, 0, 0]
    assert leases.holds == 1


def test_a_hold_that_is_short_of_one_bucket_takes_of_none() -> None:
    leases = Leases()
    rich, poor = filled(leases, MONEY, 10_000), filled(leases, OUTPUT, 99)
    rich.low = 0
    assert leases.hold(leases.bundle([rich, poor]), CALL) is poor
    assert (rich.slack, poor.slack) == (10_000, 99)
    assert leases.hold(leases.bundle([poor, rich]), CALL) is poor


def test_a_hold_ends_once() -> None:
    leases = Leases()
    money = filled(leases, MONEY, 10_000)
    hold = taken(leases.hold(leases.bundle([money]), CALL))
    leases.settle(hold, needs(nanos=1_000))
    leases.settle(hold, needs(nanos=1_000))
    assert (money.slack, money.spent) == (9_000, 1_000)
    assert not leases.extend(hold, 1, 1)


def test_more_than_was_held_is_never_spent() -> None:
    leases = Leases()
    buckets = [filled(leases, MONEY, 10_000), filled(leases, OUTPUT, 500), filled(leases, INPUT, 500)]
    leases.settle(taken(leases.hold(leases.bundle(buckets), CALL)), needs(1, 10**9, 10**9, 1, 10**9))
    assert [each.spent for each in buckets] == [5_000, 100, 10]


def test_a_stream_lengthens_its_hold_all_or_nothing() -> None:
    leases = Leases()
    money, output = filled(leases, MONEY, 10_000), filled(leases, OUTPUT, 200)
    bundle = leases.bundle([money, output])
    hold = taken(leases.hold(bundle, CALL))
    assert leases.extend(hold, 64, 1_000)
    assert hold.amounts == (1, 10, 164, 1, 6_000)
    assert not leases.extend(hold, 64, 1_000)
    assert (money.slack, output.slack) == (4_000, 36)
    leases.settle(hold, needs(output=150, nanos=5_500))
    assert (money.slack, money.held, output.slack, output.held) == (4_500, 0, 50, 0)


def test_input_that_was_counted_is_free_beyond_the_count() -> None:
    leases = Leases()
    given, money = filled(leases, INPUT, 100), filled(leases, MONEY, 10_000)
    hold = taken(leases.hold(leases.bundle([given, money]), CALL))
    leases.lower_input(hold, 4)
    assert hold.amounts == needs(1, 4, 100, 1, 5_000)
    assert (given.held, given.slack, money.held) == (4, 96, 5_000)
    leases.settle(hold, needs(1, 9, 0, 1, 9))
    assert (given.held, given.spent, given.slack) == (0, 4, 96)


def test_a_bundle_knows_when_it_counts_in_which_second_something_is_spent() -> None:
    leases = Leases()
    found = {
        (quantity, bool(window.slot_s)): leases.bundle([Bucket(meter(quantity, 9, window), "")])
        for quantity in (REQUESTS, INPUT, OUTPUT, CONCURRENT, MONEY)
        for window in (rolling(60), LIFETIME)
    }
    assert [key for key, bundle in found.items() if bundle.rolls_held] == [(REQUESTS, True)]
    assert [key for key, bundle in found.items() if bundle.rolls_settled] == [
        (INPUT, True),
        (OUTPUT, True),
        (MONEY, True),
    ]


def test_a_slice_that_nears_its_end_asks_for_the_next_once() -> None:
    asked: list[int] = []
    leases = Leases(lambda: asked.append(1))
    money = filled(leases, MONEY, 20_000)
    money.available = 10**6
    bundle = leases.bundle([money])
    for _ in range(4):
        taken(leases.hold(bundle, CALL))
    assert (len(asked), list(leases.thirsty)) == (1, [money])


def test_a_bucket_near_its_cap_asks_only_when_it_is_short() -> None:
    asked: list[int] = []
    leases = Leases(lambda: asked.append(1))
    bundle = leases.bundle([filled(leases, MONEY, 20_000)])
    for _ in range(4):
        taken(leases.hold(bundle, CALL))
    assert isinstance(leases.hold(bundle, CALL), Bucket)
    assert not asked


def test_who_comes_later_takes_nothing_of_a_bucket_that_others_wait_for() -> None:
    leases = Leases()
    money = filled(leases, MONEY, 20_000)
    bundle = leases.bundle([money])
    money.waiting, money.low = 1, ALARM
    assert leases.hold(bundle, CALL) is money
    assert leases.take(bundle, CALL, first=True) is None
    assert isinstance(leases.hold(bundle, needs(requests=1)), Hold)  # it needs nothing of it


def test_a_running_stream_comes_before_those_who_wait() -> None:
    leases = Leases()
    money = filled(leases, MONEY, 20_000)
    hold = taken(leases.hold(leases.bundle([money]), CALL))
    money.waiting, money.low = 1, ALARM
    assert leases.extend(hold, 0, 1_000)


def test_a_lowered_cap_gives_back_what_is_in_the_pocket() -> None:
    leases = Leases()
    money = filled(leases, MONEY, 20_000)
    taken(leases.hold(leases.bundle([money]), CALL))
    assert leases.bucket(meter(MONEY, 10**7), money.key) is money
    assert money.slack == 15_000
    assert leases.bucket(meter(MONEY, 10), money.key) is money
    assert (money.slack, money.returned, money.held, money.cap) == (0, 15_000, 5_000, 10)


def test_a_bundle_outlives_the_dropping_of_its_buckets() -> None:
    leases = Leases()
    old = filled(leases, MONEY, 0)
    bundle, another = leases.bundle([old, filled(leases, REQUESTS, 9)]), leases.bundle([old])
    leases.forget(old)
    new = filled(leases, MONEY, 20_000)
    assert new is not old
    assert isinstance(leases.hold(bundle, CALL), Hold)
    assert new.slack == 15_000
    assert leases.extend(taken(leases.hold(another, CALL)), 1, 1_000)
    assert (new.slack, old.slack) == (9_000, 0)


def test_a_bundle_makes_a_dropped_bucket_anew_when_nobody_did() -> None:
    leases = Leases()
    bundle = leases.bundle([filled(leases, MONEY, 0)])
    leases.forget(leases.buckets["4"])
    short = leases.hold(bundle, CALL)
    assert isinstance(short, Bucket)
    assert leases.buckets["4"] is short
    assert not short.known


def test_what_is_spent_goes_into_the_second_it_was_spent_in() -> None:
    leases = Leases()
    leases.turn(1_000 * SECOND_NS)
    window = rolling(60)
    requests = leases.bucket(meter(REQUESTS, 100, window), "r")
    output = leases.bucket(meter(OUTPUT, 10_000, window), "o")
    for bucket in (requests, output):
        bucket.known, bucket.slack, bucket.granted = True, 1_000, 1_000
    bundle = leases.bundle([requests, output])
    first, second = taken(leases.hold(bundle, CALL)), taken(leases.hold(bundle, CALL))
    leases.settle(first, needs(1, 10, 60, 1))
    leases.turn(1_001 * SECOND_NS)
    leases.settle(second, needs(1, 10, 5, 1))
    leases.turn(1_004 * SECOND_NS)
    assert requests.spends == [(1_000, 2)]
    assert output.spends == [(1_000, 60), (1_001, 5)]
    assert not leases.rolling  # nothing of them is held: the next hold brings them back
    leases.hold(bundle, CALL)
    leases.turn(1_005 * SECOND_NS)
    assert requests.spends == [(1_000, 2), (1_004, 1)]
    assert leases.rolling == {output}


def test_readers_see_what_is_used_and_what_is_left() -> None:
    leases = Leases()
    money = filled(leases, MONEY, 10_000)
    money.settled, money.available = 500_000, 90_000
    taken(leases.hold(leases.bundle([money]), CALL))
    assert (money.used, money.remaining, money.cap) == (505_000, 95_000, 10**6)

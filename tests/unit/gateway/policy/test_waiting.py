from __future__ import annotations

from gateway.config.snapshot_meters import MONEY, OUTPUT, REQUESTS
from gateway.policy import reports
from gateway.policy.leases import SECOND_NS, Bucket, Hold, Leases, Needs
from gateway.policy.waiting import DRY_S, FUTILE_S, Queue, Waiting
from tests.support.meters import meter, needs, rolling

NOW_S = 50.0
WAIT_S = 0.05


class Scene:
    """A queue, its buckets, and what became of those who waited, by name."""

    def __init__(self) -> None:
        self.leases = Leases()
        self.queue = Queue(self.leases)
        self.ended: dict[str, Hold | Bucket | None] = {}
        self.money = self.bucket(MONEY)

    def bucket(self, quantity: int, slack: int = 0) -> Bucket:
        bucket = self.leases.bucket(meter(quantity, 10**6), str(quantity))
        bucket.known, bucket.slack, bucket.granted = True, slack, slack
        return bucket

    def wait(self, name: str, wanted: Needs, *others: Bucket, extends: Hold | None = None) -> Waiting:
        bundle = self.leases.bundle([self.money, *others])
        waiting = Waiting(bundle, wanted, lambda result: self.ended.update({name: result}), WAIT_S, extends)
        self.queue.add(waiting, self.money)
        return waiting

    def put(self, amount: int, bucket: Bucket | None = None) -> None:
        bucket = bucket or self.money
        bucket.slack += amount
        bucket.granted += amount

    def decide(self, now_s: float = NOW_S) -> tuple[bool, list[Bucket]]:
        return self.queue.decide(now_s, 0)


def test_those_who_wait_are_served_in_order() -> None:
    scene = Scene()
    for name, nanos in (("first", 50), ("second", 10), ("third", 10)):
        scene.wait(name, needs(nanos=nanos))
    scene.put(20)
    scene.queue.serve()
    assert not scene.ended  # the first one needs 50, and the others wait behind it
    scene.put(40)
    scene.queue.serve()
    assert list(scene.ended) == ["first", "second"]
    assert (scene.money.slack, scene.money.waiting) == (0, 1)


def test_what_all_need_together_is_asked_for_and_what_the_first_needs_at_least() -> None:
    scene = Scene()
    output = scene.bucket(OUTPUT, 25)
    scene.put(5)
    scene.wait("first", needs(output=10, nanos=50), output)
    scene.wait("second", needs(output=20, nanos=30), output)
    assert scene.queue.demands() == {scene.money: (45, 75), output: (1, 5)}


def test_nobody_is_refused_before_the_authority_was_asked_for_it() -> None:
    scene = Scene()
    scene.wait("one", needs(nanos=50))
    assert scene.decide() == (True, [])
    scene.queue.demands()
    assert scene.decide() == (False, [])
    assert scene.ended == {"one": scene.money}


def test_the_next_one_is_served_when_the_first_is_refused() -> None:
    scene = Scene()
    scene.wait("large", needs(nanos=50))
    scene.wait("small", needs(nanos=5))
    scene.put(7)
    scene.queue.demands()
    scene.decide()
    assert scene.ended["large"] is scene.money
    assert isinstance(scene.ended["small"], Hold)


def test_a_refusal_waits_for_what_others_give_back_but_not_longer_than_it_may() -> None:
    scene = Scene()
    scene.money.elsewhere = 100
    scene.wait("one", needs(nanos=50))
    scene.queue.demands()
    assert scene.decide() == (False, [scene.money])
    assert scene.decide(NOW_S + 0.01) == (False, [])  # asked a moment ago
    assert scene.decide(NOW_S + 0.03) == (False, [scene.money])
    assert not scene.ended
    scene.decide(NOW_S + 0.05)
    assert scene.ended == {"one": scene.money}
    scene.wait("soon after", needs(nanos=50))
    scene.queue.demands()
    scene.decide(NOW_S + 0.05 + FUTILE_S / 2)
    assert "soon after" in scene.ended
    scene.wait("later", needs(nanos=50))
    scene.queue.demands()
    scene.decide(NOW_S + 0.06 + FUTILE_S)
    assert "later" not in scene.ended


def test_others_are_not_asked_for_more_than_they_have() -> None:
    scene = Scene()
    scene.money.elsewhere = 49
    scene.wait("one", needs(nanos=50))
    scene.queue.demands()
    assert scene.decide() == (False, [])
    assert scene.ended == {"one": scene.money}


def test_what_was_freed_meanwhile_is_asked_for_again_but_not_for_ever() -> None:
    scene = Scene()
    scene.money.available = 60
    scene.wait("one", needs(nanos=50))
    scene.queue.demands()
    assert scene.decide() == (True, [])
    assert scene.decide(NOW_S + 0.19) == (True, [])
    scene.decide(NOW_S + 0.21)
    assert "one" in scene.ended


def test_who_waits_for_one_bucket_keeps_nobody_from_another() -> None:
    scene = Scene()
    output = scene.bucket(OUTPUT, 10)
    scene.wait("short of money", needs(output=10, nanos=50), output)
    other = Waiting(
        scene.leases.bundle([output]),
        needs(output=10),
        lambda result: scene.ended.update({"other": result}),
        WAIT_S,
    )
    scene.queue.add(other, output)
    scene.queue.serve()
    assert list(scene.ended) == ["other"]


def test_a_running_stream_comes_first_and_its_hold_grows() -> None:
    scene = Scene()
    scene.put(10)
    hold = scene.leases.hold(scene.leases.bundle([scene.money]), needs(nanos=10))
    assert isinstance(hold, Hold)
    scene.wait("new", needs(nanos=10))
    scene.wait("stream", needs(nanos=10), extends=hold)
    scene.put(10)
    scene.queue.serve()
    assert scene.ended == {"stream": hold}
    assert hold.amounts == needs(nanos=20)


def test_a_hold_that_was_settled_while_it_waited_takes_nothing() -> None:
    scene = Scene()
    scene.put(10)
    hold = scene.leases.hold(scene.leases.bundle([scene.money]), needs(nanos=10))
    assert isinstance(hold, Hold)
    scene.wait("stream", needs(nanos=10), extends=hold)
    scene.leases.settle(hold, needs(nanos=10))
    scene.put(10)
    scene.queue.serve()
    assert (scene.money.slack, scene.money.held, scene.money.spent) == (10, 0, 10)


def test_who_leaves_lets_the_others_pass() -> None:
    scene = Scene()
    first = scene.wait("first", needs(nanos=50))
    scene.wait("second", needs(nanos=5))
    scene.put(10)
    scene.queue.leave(first)
    scene.queue.leave(first)
    scene.queue.serve()
    assert list(scene.ended) == ["second"]
    assert scene.money.waiting == 0


def test_after_a_refusal_the_next_ones_are_refused_at_once_for_a_moment() -> None:
    scene = Scene()
    bundle = scene.leases.bundle([scene.money])
    assert scene.queue.hopeless(bundle, needs(nanos=50), NOW_S) is None
    scene.wait("one", needs(nanos=50))
    scene.money.available = 10
    scene.queue.demands()
    scene.decide()
    assert scene.queue.hopeless(bundle, needs(nanos=50), NOW_S + DRY_S / 2) is scene.money
    assert scene.queue.hopeless(bundle, needs(nanos=10), NOW_S + DRY_S / 2) is None
    assert scene.queue.hopeless(bundle, needs(nanos=50), NOW_S + DRY_S) is None
    assert scene.queue.hopeless(bundle, needs(nanos=10**6 + 1), NOW_S + 60) is scene.money  # more than the cap


def test_a_rolling_window_is_dry_only_until_the_next_slot() -> None:
    scene = Scene()
    scene.leases.turn(9 * SECOND_NS)
    bucket = scene.leases.bucket(meter(REQUESTS, 10, rolling(10)), "r")
    bucket.known = True
    waiting = Waiting(scene.leases.bundle([bucket]), needs(requests=1), lambda _: None, WAIT_S)
    scene.queue.add(waiting, bucket)
    scene.queue.demands()
    scene.queue.decide(NOW_S, 10 * SECOND_NS - 5_000_000)
    assert bucket.dry_until_s == NOW_S + 0.005


def test_a_bucket_that_was_dropped_and_made_again_while_a_request_waited_for_another_is_the_one_it_takes_of() -> None:
    scene = Scene()
    output = scene.bucket(OUTPUT)
    waiting = scene.wait("first", needs(output=10, nanos=50), output)
    reports.rest(scene.leases, output, NOW_S)
    reports.look_after(scene.leases, NOW_S + 2 * reports.RESTS_S)
    assert output.gone
    assert scene.leases.hold(waiting.bundle, needs(output=1)) is not output  # another request made it again
    again = scene.leases.buckets[output.key]
    assert again is not output
    scene.put(50)
    scene.put(10, again)
    scene.decide()
    assert list(scene.ended) == ["first"]
    assert isinstance(scene.ended["first"], Hold)
    assert output not in scene.leases.fresh

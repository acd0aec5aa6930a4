"""The oracle of false refusals: it refuses what a serial meter would refuse, and finds what one would have admitted."""

from __future__ import annotations

from gateway.store.records import Record
from tests.chaos.evidence import Event
from tests.chaos.oracle import judge
from tests.chaos.plan import Cap

BUDGET = Cap("tenant", "acme", "usd", 1_000, "lifetime")
SLOTS = Cap("tenant", "acme", "concurrent", 40, "")
RATE = Cap("tenant", "acme", "requests", 10, "60s")


def event(at_s: float, what: str, request_id: str, nanos: int, charge: int = 0) -> Event:
    record = Record(id=request_id, tenant="acme", key="app", charge_nanos=charge, outcome="answered")
    return Event(at_s, "0", what, request_id, record, (0, 0, nanos))


def test_a_refusal_for_want_of_room_is_right() -> None:
    events = [event(0, "hold", "a", 600), event(1, "refuse", "b", 500)]
    judged = judge(events, [BUDGET])
    assert (judged.decisions, judged.refusals, judged.false) == (2, 1, [])


def test_a_refusal_with_room_is_false() -> None:
    events = [event(0, "hold", "a", 600), event(1, "settle", "a", 0, charge=100), event(2, "refuse", "b", 500)]
    judged = judge(events, [BUDGET])
    assert len(judged.false) == 1
    assert judged.share == 0.5


def test_a_larger_hold_replaces_the_one_before_and_is_no_second_decision() -> None:
    events = [event(0, "hold", "a", 100), event(1, "hold", "a", 600), event(2, "refuse", "b", 500)]
    judged = judge(events, [BUDGET])
    assert (judged.decisions, judged.false) == (2, [])


def test_near_the_end_of_a_budget_nothing_is_judged() -> None:
    events = [event(0, "hold", "a", 950), event(1, "refuse", "b", 10)]
    judged = judge(events, [BUDGET])
    assert (judged.decisions, judged.refusals, judged.false) == (1, 0, [])


def test_with_fewer_than_sixteen_slots_nothing_is_judged() -> None:
    events = [event(number, "hold", str(number), 0) for number in range(25)] + [event(30, "refuse", "x", 0)]
    assert judge(events, [SLOTS]).refusals == 0
    assert len(judge([*events[:24], events[-1]], [SLOTS]).false) == 1


def test_a_rolling_window_is_counted_in_slots() -> None:
    events = [event(0, "hold", str(number), 0) for number in range(9)] + [event(60.5, "refuse", "x", 0)]
    assert judge(events, [RATE]).refusals == 1  # one is left of ten: 10 % of the cap
    full = [event(0, "hold", str(number), 0) for number in range(10)]
    assert judge([*full, event(60.5, "refuse", "x", 0)], [RATE]).refusals == 0
    assert len(judge([*full, event(62, "refuse", "x", 0)], [RATE]).false) == 1


def test_all_meters_must_have_room() -> None:
    events = [event(0, "hold", "a", 600), event(1, "refuse", "b", 500)]
    assert judge(events, [BUDGET, SLOTS]).false == []

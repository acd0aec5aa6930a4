from __future__ import annotations

from gateway.backends import fake_produced
from gateway.backends.fake_produced import Pace, Produced


def test_each_time_an_id_comes_has_an_entry_of_its_own_in_order() -> None:
    produced = Produced()
    for tokens in (3, 5):
        produced.begin("req_1", 1.0).output_tokens = tokens
    assert [entry.output_tokens for entry in produced.table()["req_1"]] == [3, 5]


def test_a_request_without_an_id_is_counted_nowhere() -> None:
    produced = Produced()
    produced.begin("", 1.0).output_tokens = 3
    assert produced.table() == {}


def test_the_oldest_ids_are_dropped() -> None:
    produced = Produced()
    for number in range(fake_produced.KEPT_REQUESTS + 2):
        produced.begin(str(number), 1.0)
    assert len(produced.table()) == fake_produced.KEPT_REQUESTS
    assert "1" not in produced.table()
    assert "2" in produced.table()


def test_the_count_at_an_instant_just_past_can_be_told() -> None:
    made = Produced().begin("req_1", 1.0)
    for number in range(fake_produced.KEPT_FRAMES + 1):
        made.made(2, 1.0 + number)
    assert made.output_tokens == 2 * len(made.latest) + 2
    assert made.after(fake_produced.KEPT_FRAMES - 1.5) == 6


def test_a_pace_is_never_faster_and_makes_up_for_no_delay() -> None:
    pace = Pace(100, 5.0)
    assert [round(pace.wait_s(4, 5.0), 6) for _ in range(3)] == [0.04, 0.08, 0.12]
    assert round(pace.wait_s(4, 9.0), 6) == round(0.04 - fake_produced.TIMER_LATE_S, 6)


def test_what_runs_is_not_forgotten() -> None:
    produced = Produced()
    produced.begin("done", 1.0).ended = "answered"
    produced.begin("runs", 1.0)
    produced.clear()
    assert list(produced.table()) == ["runs"]

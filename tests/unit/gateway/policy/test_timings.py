from __future__ import annotations

from gateway.policy import timings
from gateway.policy.timings import ANSWER, REQUEST, Timed, Timings

BEGAN_S = 64.0


class Watch:
    """A clock, and the milliseconds since a request began, as a test sets them."""

    def __init__(self) -> None:
        self.ms = 0.0

    def now(self) -> float:
        return BEGAN_S + self.ms / 1e3


def nobody(_: object | None, __: str) -> None:
    """Is told."""


def test_checks_of_a_stage_are_timed_together_and_one_that_asks_by_itself() -> None:
    watch, told = Watch(), []
    times = Timings(watch.now, BEGAN_S)
    watch.ms = 1.0
    with times.stage(REQUEST):
        watch.ms = 1.25
        answered = times.asked("injection", lambda value, failure: told.append((value, failure)))
        watch.ms = 4.0
        answered(0.5, "")
        watch.ms = 4.5
    assert told == [(0.5, "")]
    assert timings.read(times.words()) == [
        Timed("request", "", 1_000, 3_500, 3_500, 1),
        Timed("request", "injection", 1_250, 2_750, 2_750, 1),
    ]


def test_a_stream_spends_only_the_time_in_which_its_pieces_are_read() -> None:
    watch = Watch()
    times = Timings(watch.now, BEGAN_S)
    reading = times.stage(ANSWER)
    for began in (10.0, 20.0, 30.0):
        watch.ms = began
        with reading:
            watch.ms += 2.0
    assert timings.read(times.words()) == [Timed("answer", "", 10_000, 22_000, 6_000, 3)]


def test_of_a_stage_in_which_nothing_was_read_nothing_is_said() -> None:
    times = Timings(Watch().now, BEGAN_S)
    times.stage(ANSWER)
    assert times.words() == ""


def test_questions_that_overlap_are_counted_once() -> None:
    watch = Watch()
    times = Timings(watch.now, BEGAN_S)
    with times.stage(ANSWER):
        first = times.asked("toxicity", nobody)
        watch.ms = 2.0
        second = times.asked("toxicity", nobody)
        watch.ms = 3.0
        first(0.0, "")
        watch.ms = 5.0
        second(0.0, "")
    assert timings.read(times.words())[1] == Timed("answer", "toxicity", 0, 5_000, 5_000, 2)


def test_what_is_open_when_the_request_ends_ends_with_it_and_its_stage_no_sooner() -> None:
    watch = Watch()
    times = Timings(watch.now, BEGAN_S)
    with times.stage(ANSWER):
        late = times.asked("toxicity", nobody)
        watch.ms = 1.0
    watch.ms = 7.0
    assert timings.read(times.words()) == [
        Timed("answer", "", 0, 7_000, 1_000, 1),
        Timed("answer", "toxicity", 0, 7_000, 7_000, 1),
    ]
    late(None, "late")


def test_what_each_stage_asked_is_told_apart() -> None:
    times = Timings(Watch().now, BEGAN_S)
    for stage in (REQUEST, ANSWER):
        with times.stage(stage):
            times.asked("a check: of mine", nobody)(1.0, "")
    assert [(each.stage, each.check) for each in timings.read(times.words())] == [
        *(("request", ""), ("request", "a_check_of_mine")),
        *(("answer", ""), ("answer", "a_check_of_mine")),
    ]


def test_a_run_is_a_word_like_the_others() -> None:
    assert timings.read(timings.ran(0.0015, 0.004)) == [Timed("run", "", 1_500, 2_500, 2_500, 1)]


def test_a_word_that_was_cut_off_says_nothing() -> None:
    word = "request:injection:1:2:3:4"
    assert timings.read(f"{word} request:inj") == [Timed("request", "injection", 1, 2, 3, 4)]
    assert timings.read("request:injection:1:2:3:") == timings.read("a:b:1:-2:3:4") == timings.read("") == []

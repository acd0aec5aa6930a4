"""gateway.runtime.backoff"""

from __future__ import annotations

from gateway.runtime.backoff import LONGEST_DELAY_S, STEADY_AFTER_S, Backoff


def test_the_first_death_is_followed_by_a_start_at_once() -> None:
    assert Backoff().ended(0.2) == 0.0


def test_quick_deaths_wait_longer_and_longer_up_to_the_longest() -> None:
    backoff = Backoff()
    delays = [backoff.ended(0.2) for _ in range(12)]
    assert delays[:4] == [0.0, 0.1, 0.2, 0.4]
    assert delays == sorted(delays)
    assert delays[-1] == LONGEST_DELAY_S


def test_it_never_gives_up() -> None:
    backoff = Backoff()
    assert max(backoff.ended(0.0) for _ in range(5_000)) == LONGEST_DELAY_S


def test_a_long_life_is_not_held_against_the_next_one() -> None:
    backoff = Backoff()
    for _ in range(9):
        backoff.ended(0.1)
    assert backoff.ended(STEADY_AFTER_S) == 0.0
    assert backoff.ended(0.1) == 0.0

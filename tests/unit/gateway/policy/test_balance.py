"""Choices among endpoints: least outstanding, sticky, and the bound on stickiness."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policy import balance
from gateway.policy.balance import FREE_LOAD, LOAD_FACTOR, EndpointView, weight_hash

NONE: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Choice:
    """A choice, to be compared."""

    index: int
    reason: str


def choose(views: Sequence[EndpointView], sticky: bytes | None, tried: frozenset[int], draw: float) -> Choice | None:
    choice = balance.choose(views, sticky, tried, draw)
    return None if choice is None else Choice(choice.index, choice.reason)


def endpoints(*loads: int, out: frozenset[int] = NONE) -> list[EndpointView]:
    return [
        EndpointView(at, f"http://vllm-{at}:8000", load, at not in out, weight_hash(f"http://vllm-{at}:8000"))
        for at, load in enumerate(loads)
    ]


def conversation(number: int) -> bytes:
    return hashlib.blake2b(b"%d" % number, digest_size=16).digest()


def index(choice: Choice | None) -> int:
    assert choice is not None
    return choice.index


def test_the_only_endpoint_is_taken_whatever_its_load() -> None:
    assert choose(endpoints(9), None, NONE, 0.5) == Choice(0, "only")
    assert choose(endpoints(9), b"conversation", NONE, 0.5) == Choice(0, "only")
    assert choose(endpoints(0, 9, out=frozenset({0})), None, NONE, 0.5) == Choice(1, "only")


def test_the_least_loaded_endpoint_is_taken() -> None:
    assert choose(endpoints(3, 1, 2), None, NONE, 0.99) == Choice(1, "least_outstanding")


@pytest.mark.parametrize(("draw", "at"), [(0.0, 0), (0.49, 0), (0.5, 2), (0.999999, 2)])
def test_a_draw_decides_between_equals(draw: float, at: int) -> None:
    assert index(choose(endpoints(1, 5, 1), None, NONE, draw)) == at


def test_an_endpoint_tried_before_or_out_of_service_is_not_taken() -> None:
    assert index(choose(endpoints(0, 0, 7, out=frozenset({1})), None, frozenset({0}), 0.0)) == 2
    assert choose(endpoints(0, 0, out=frozenset({1})), None, frozenset({0}), 0.0) is None
    assert choose([], None, NONE, 0.0) is None


def test_a_conversation_stays_where_it_is_while_loads_move_below_the_bound() -> None:
    for number in range(50):
        home = choose(endpoints(0, 0, 0, 0), conversation(number), NONE, 0.0)
        assert home is not None
        assert home.reason == "sticky"
        for loads in ((3, 0, 0, 0), (0, 3, 1, 2), (3, 3, 3, 3), (40, 40, 40, 40)):
            assert choose(endpoints(*loads), conversation(number), NONE, 0.7) == home


def test_conversations_spread_evenly_over_endpoints() -> None:
    counts = Counter(index(choose(endpoints(0, 0, 0, 0, 0), conversation(n), NONE, 0.0)) for n in range(5_000))
    assert all(850 < counts[at] < 1_150 for at in range(5))  # mean 1,000, standard deviation 28


def test_an_endpoint_that_goes_moves_only_the_conversations_it_had() -> None:
    gone = frozenset({2})
    for number in range(300):
        before = index(choose(endpoints(0, 0, 0, 0), conversation(number), NONE, 0.0))
        without = index(choose(endpoints(0, 0, 0, 0, out=gone), conversation(number), NONE, 0.0))
        assert (without == before) == (before != 2)


def test_an_overloaded_home_passes_its_conversation_on_to_always_the_same_next_one() -> None:
    home = index(choose(endpoints(0, 0, 0, 0), conversation(7), NONE, 0.0))
    moved = set()
    for load in (20, 30, 50):
        loads = [1, 1, 1, 1]
        loads[home] = load
        choice = choose(endpoints(*loads), conversation(7), NONE, 0.0)
        assert choice is not None
        assert choice.reason == "sticky_overflow"
        moved.add(choice.index)
    assert len(moved) == 1
    assert home not in moved


@given(st.lists(st.integers(0, 60), min_size=2, max_size=9), st.integers(0, 50))
def test_stickiness_never_puts_more_on_an_endpoint_than_the_bound(loads: list[int], number: int) -> None:
    choice = choose(endpoints(*loads), conversation(number), NONE, 0.0)
    assert choice is not None
    bound = max(FREE_LOAD, LOAD_FACTOR * (sum(loads) + 1) / len(loads) + 1)
    assert loads[choice.index] + 1 <= bound


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=8),
    st.frozensets(st.integers(0, 7)),
    st.frozensets(st.integers(0, 7)),
    st.booleans(),
    st.floats(0, 1, exclude_max=True),
)
def test_a_choice_is_in_service_and_untried_and_there_is_one_whenever_there_can_be(
    loads: list[int], out: frozenset[int], tried: frozenset[int], sticky: bool, draw: float
) -> None:
    choice = choose(endpoints(*loads, out=out), conversation(1) if sticky else None, tried, draw)
    left = set(range(len(loads))) - out - tried
    assert (choice is None) == (not left)
    if choice is not None:
        assert choice.index in left
        if choice.reason == "least_outstanding":
            assert loads[choice.index] == min(loads[at] for at in left)


def test_a_hundred_busy_conversations_leave_no_endpoint_far_above_the_mean() -> None:
    loads = [0, 0, 0, 0]
    for number in range(400):
        loads[index(choose(endpoints(*loads), conversation(number % 3), NONE, 0.0))] += 1  # three conversations only
    assert max(loads) <= LOAD_FACTOR * 100 + 1

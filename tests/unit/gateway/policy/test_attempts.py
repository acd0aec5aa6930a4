"""What follows a failed attempt, row by row, and the budget's bound."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.policy.attempts import BASE_DELAY_S, MOST_DELAY_S, Next, RetryBudget, backoff_s, decide

USUAL: dict[str, Any] = {
    "attempt_no": 1,
    "attempts_most": 2,
    "first_byte_sent": False,
    "reused_connection": False,
    "endpoints_left": 1,
    "routes_left": 1,
    "left_s": 60.0,
    "now_s": 0.0,
    "draw": 0.5,
}


def budget(share: float = 0.2) -> RetryBudget:
    return RetryBudget(share, now_s=0.0)


def spent() -> RetryBudget:
    empty = budget()
    for _ in range(10):
        assert empty.spend(0.0)
    return empty


def follow(error: errors.GatewayError, **changes: Any) -> Next:
    return decide(error, **{**USUAL, "budget": budget(), **changes})


def word(error: errors.GatewayError, **changes: Any) -> tuple[str, str]:
    what = follow(error, **changes)
    return what.action, what.reason


FAILED = errors.UpstreamFailed("x")
REFUSED = errors.ConnectFailed("x")
CURABLE = [REFUSED, FAILED, errors.UpstreamProtocol("x")]
ELSEWHERE = [errors.UpstreamTimeout("x"), errors.UpstreamBusy("x")]
FINAL = [
    errors.UpstreamRejected(400, b"", b""),
    errors.StreamBroken("x"),
    errors.StoreUnavailable("x"),
    errors.Draining("x"),
    errors.Internal("x"),
    errors.InvalidRequest("x"),
    errors.SlowRequest("x"),
]


def kind(error: errors.GatewayError) -> str:
    return type(error).__name__


@pytest.mark.parametrize("error", [*CURABLE, *ELSEWHERE], ids=kind)
def test_a_failed_attempt_goes_at_once_to_another_endpoint_of_the_backend(error: errors.GatewayError) -> None:
    assert follow(error) == Next("retry", 0.0, "other_endpoint")


@pytest.mark.parametrize("error", CURABLE, ids=kind)
def test_without_another_endpoint_the_same_one_is_tried_after_a_jittered_wait(error: errors.GatewayError) -> None:
    assert follow(error, endpoints_left=0, draw=0.5) == Next("retry", 0.5 * BASE_DELAY_S, "same_endpoint")
    assert follow(error, endpoints_left=0, draw=0.0).delay_s == 0.0


@pytest.mark.parametrize("error", ELSEWHERE, ids=kind)
def test_a_slow_or_full_endpoint_is_not_asked_again(error: errors.GatewayError) -> None:
    assert word(error, endpoints_left=0) == ("fallback", "no_other_endpoint")
    assert word(error, endpoints_left=0, routes_left=0) == ("give_up", "no_other_endpoint")


def test_a_backend_without_endpoints_is_left_for_the_next_route() -> None:
    none = errors.NoEndpoint("x")
    assert word(none, endpoints_left=0) == ("fallback", "no_other_endpoint")
    assert word(none, endpoints_left=0, routes_left=0) == ("give_up", "no_other_endpoint")


@pytest.mark.parametrize("error", FINAL, ids=kind)
def test_what_another_attempt_cannot_cure_ends_the_request(error: errors.GatewayError) -> None:
    assert word(error, reused_connection=True) == ("give_up", "not_curable")


@pytest.mark.parametrize("error", [*CURABLE, *ELSEWHERE, *FINAL], ids=kind)
def test_nothing_is_tried_again_after_the_first_byte(error: errors.GatewayError) -> None:
    assert word(error, first_byte_sent=True, reused_connection=True) == ("give_up", "first_byte_sent")


@pytest.mark.parametrize("error", [*CURABLE, *ELSEWHERE], ids=kind)
def test_nothing_is_tried_again_after_the_deadline(error: errors.GatewayError) -> None:
    assert word(error, left_s=0.0, reused_connection=True) == ("give_up", "deadline")


def test_a_wait_never_outlasts_the_deadline() -> None:
    assert follow(FAILED, endpoints_left=0, draw=0.9, left_s=0.01).delay_s == 0.01


def test_a_kept_alive_connection_that_died_is_replaced_at_once_and_costs_nothing() -> None:
    empty = spent()
    again = follow(REFUSED, reused_connection=True, budget=empty, attempt_no=2)
    assert again == Next("again_fresh_connection", 0.0, "kept_alive_connection_died")
    assert word(REFUSED, reused_connection=False, budget=empty) == ("fallback", "budget_spent")


def test_an_answer_that_was_wrong_on_a_kept_alive_connection_is_an_ordinary_failure() -> None:
    assert word(FAILED, reused_connection=True) == ("retry", "other_endpoint")


def test_after_the_last_attempt_the_next_route_is_tried_or_the_caller_told() -> None:
    assert word(FAILED, attempt_no=2) == ("fallback", "attempts_spent")
    assert word(FAILED, attempt_no=2, routes_left=0) == ("give_up", "attempts_spent")
    assert word(FAILED, attempts_most=1, routes_left=0) == ("give_up", "attempts_spent")


def test_without_budget_there_is_no_retry_but_a_fallback() -> None:
    assert word(FAILED, budget=spent()) == ("fallback", "budget_spent")
    assert word(FAILED, budget=spent(), routes_left=0) == ("give_up", "budget_spent")


def test_a_fallback_costs_no_budget() -> None:
    kept = budget()
    for _ in range(100):
        follow(FAILED, attempt_no=2, budget=kept)
        follow(errors.UpstreamBusy("x"), endpoints_left=0, budget=kept)
    assert sum(kept.spend(0.0) for _ in range(20)) == 10


@given(st.integers(1, 1_000), st.floats(0, 1, exclude_max=True))
def test_waits_are_jittered_from_zero_to_a_bound_that_doubles(attempt_no: int, draw: float) -> None:
    bound = min(MOST_DELAY_S, BASE_DELAY_S * 2 ** min(attempt_no - 1, 10))
    assert 0.0 <= backoff_s(attempt_no, draw) <= bound


def test_a_share_of_zero_means_no_retries_ever() -> None:
    none = budget(0.0)
    for _ in range(100):
        none.earn()
    assert not none.spend(1_000.0)


def test_a_steady_outage_gets_retries_for_its_share_of_the_requests() -> None:
    kept = spent()
    retried = 0
    for _ in range(1_000):
        kept.earn()
        retried += kept.spend(0.0)
    assert 199 <= retried <= 200


def test_little_traffic_still_has_a_retry_each_second() -> None:
    kept = spent()
    assert [kept.spend(now_s) for now_s in (0.5, 1.0, 1.5, 2.0, 9.0)] == [False, True, False, True, True]


@given(
    st.floats(0.01, 1.0),
    st.lists(st.tuples(st.booleans(), st.floats(0, 3)), max_size=200),
)
def test_retries_never_exceed_their_share_of_traffic_plus_the_reserve(
    share: float, history: list[tuple[bool, float]]
) -> None:
    kept, now_s, requests, retries = budget(share), 0.0, 0, 0
    for is_request, passed_s in history:
        now_s += passed_s
        if is_request:
            requests += 1
            kept.earn()
        else:
            retries += kept.spend(now_s)
        assert retries <= share * requests + RetryBudget.RESERVE + now_s + 1e-6

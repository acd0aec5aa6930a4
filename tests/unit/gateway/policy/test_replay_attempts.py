from __future__ import annotations

from typing import Any

import pytest

from gateway.store.records import Attempt, Record
from tests.unit.gateway.policy.test_replay import URLS, answered, different, unknown

OTHER = {"served_model": "other"}


def attempt(index: int = 0, reason: str = "first", choice: str = "least_outstanding", **columns: Any) -> Attempt:
    found = Attempt("b", URLS[index], reason, choice, [0, 0], 200, "ok", 1.0, 2.0, 3.0)
    for name, value in columns.items():
        setattr(found, name, value)
    return found


def failed(index: int = 0, reason: str = "first", choice: str = "least_outstanding", **columns: Any) -> Attempt:
    own = {"code": "connect_failed", "status": 0, "endpoints_left": 1, "then": "other_endpoint"}
    return attempt(index, reason, choice, **{**own, **columns})


def of(*tries: Attempt, **columns: Any) -> Record:
    return answered(attempts=list(tries), **columns)


def test_the_draw_chooses_among_equals() -> None:
    assert different(of(attempt(0, draw=0))) == {}
    assert different(of(attempt(1, draw=2**52))) == {}
    assert different(of(attempt(0, draw=2**52))) == {
        "endpoint": (f"least_outstanding {URLS[0]}", f"least_outstanding {URLS[1]}")
    }


def test_the_least_loaded_is_chosen_of_those_in_service() -> None:
    assert "endpoint" in different(of(attempt(0, loads=[5, 1])))
    assert different(of(attempt(0, loads=[5, 1], choice="only", out_of_service=[1]))) == {}


def test_a_conversation_goes_to_its_own_endpoint() -> None:
    right = [index for index in (0, 1) if not different(of(attempt(index, choice="sticky"), conversation="ab" * 16))]
    assert len(right) == 1


def test_a_kept_answer_is_where_nobody_wrote_down() -> None:
    assert "endpoint" in unknown(of(attempt(0, choice="kept")))


def test_a_retry_comes_out_of_how_the_first_try_ended() -> None:
    retried = of(failed(0), attempt(1, "retry", "only"))
    assert different(retried) == {}
    assert different(of(failed(0), attempt(0, "retry", "only")))["endpoint"][1] == f"only {URLS[1]}"
    assert different(of(failed(0, then="attempts_spent"), attempt(1, "retry", "only")))["following"] == (
        *("attempts_spent", "other_endpoint"),
    )


@pytest.mark.parametrize("code", ["upstream_busy", "upstream_timeout"])
def test_what_a_full_or_slow_endpoint_needs_is_another(code: str) -> None:
    last = failed(0, code=code, endpoints_left=0, then="no_other_endpoint")
    moved = of(last, attempt(0, "fallback"), action="fallback:n", **OTHER)
    assert different(moved) == {}
    moved.attempts[1].reason = "retry"
    assert "reason" in different(moved)


def test_attempts_are_spent_after_as_many_as_are_configured() -> None:
    tries = [failed(0), failed(1, reason="retry", choice="only", endpoints_left=0, then="attempts_spent")]
    assert "following" not in different(of(*tries, attempt(0, "fallback"), action="fallback:n", **OTHER))
    tries[1].then = "same_endpoint"
    assert different(of(*tries))["following"] == ("same_endpoint", "attempts_spent")


def test_a_connection_that_died_while_idle_is_no_failure() -> None:
    died = failed(0, then="kept_alive_connection_died", endpoints_left=1)
    assert different(of(died, attempt(0, "fresh_connection"))) == {}


def test_a_try_after_one_of_which_nothing_is_known_is_not_derived() -> None:
    assert "following" in unknown(of(attempt(0, code="upstream_busy"), attempt(0, "retry")))

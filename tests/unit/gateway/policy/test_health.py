"""The circuit breaker, row by row and as a whole."""

from __future__ import annotations

from itertools import product
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors
from gateway.policy.health import HEALTHY, Event, Health, Rules, State, after, available, calm, event_of, settled

RULES = Rules(failures_in_a_row=3, window_s=10, window_least=10, cooldown_s=1, cooldown_growth=2, cooldown_most_s=5)
OPEN = Health("open", until_s=101.0, cooldown_s=1.0)
TRIAL = Health("half_open", until_s=160.0, cooldown_s=1.0)


def run(health: Health, *events: Event, now_s: float = 100.0, rules: Rules = RULES) -> Health:
    for event in events:
        health = after(health, event, now_s, rules)
    return health


def test_a_new_endpoint_is_in_service() -> None:
    assert available(HEALTHY, 0.0)


def test_failures_in_a_row_open_the_circuit_and_a_success_between_them_does_not() -> None:
    assert run(HEALTHY, "failed", "failed").state == "closed"
    opened = run(HEALTHY, "failed", "failed", "failed")
    assert (opened.state, opened.until_s, opened.cooldown_s) == ("open", 101.0, 1.0)
    assert run(HEALTHY, "failed", "failed", "succeeded", "failed", "failed").state == "closed"


def test_a_share_of_failures_opens_the_circuit_once_there_is_enough_to_judge_by() -> None:
    events: list[Event] = ["succeeded", "failed"] * 5
    assert run(HEALTHY, *events[:8]).state == "closed"
    assert run(HEALTHY, *events).state == "open"


def test_a_few_failures_among_many_successes_do_not_open_the_circuit() -> None:
    events: list[Event] = ["failed", "succeeded", "succeeded"] * 30
    assert run(HEALTHY, *events).state == "closed"


def test_failures_of_a_window_that_is_over_are_forgotten() -> None:
    events: list[Event] = ["succeeded", "failed"] * 4
    later = run(run(HEALTHY, *events), "succeeded", "failed", now_s=111.0)
    assert (later.state, later.window_total, later.window_failed) == ("closed", 2, 1)


def test_an_open_circuit_lets_nothing_through_until_its_cooldown_is_over() -> None:
    assert not available(OPEN, 100.9)
    assert available(OPEN, 101.0)


def test_after_the_cooldown_one_request_is_the_trial_and_others_wait() -> None:
    trial = run(OPEN, "admitted", now_s=101.0)
    assert trial.state == "half_open"
    assert not available(trial, 101.0)
    assert run(OPEN, "admitted", now_s=100.5) is OPEN


def test_a_trial_that_succeeds_closes_the_circuit_and_forgets_everything() -> None:
    assert run(TRIAL, "succeeded") is HEALTHY


@pytest.mark.parametrize("event", ["failed", "unreachable", "probe_failed"])
def test_a_trial_that_fails_opens_it_for_longer_up_to_a_bound(event: Event) -> None:
    health, cooldowns = TRIAL, []
    for _ in range(4):
        health = run(health, event)
        cooldowns.append(health.cooldown_s)
        assert (health.state, health.until_s) == ("open", 100.0 + health.cooldown_s)
        health = run(health, "admitted", now_s=health.until_s)
    assert cooldowns == [2.0, 4.0, 5.0, 5.0]


def test_a_trial_whose_caller_left_makes_the_next_request_the_trial() -> None:
    left = run(TRIAL, "abandoned")
    assert available(left, 100.0)
    assert run(left, "admitted").state == "half_open"
    assert run(left, "admitted", "failed").cooldown_s == 2.0


def test_a_trial_never_heard_of_again_does_not_keep_the_endpoint_out_for_good() -> None:
    assert not available(TRIAL, 159.0)
    assert available(TRIAL, 160.0)
    again = run(TRIAL, "admitted", now_s=160.0)
    assert (again.state, available(again, 161.0)) == ("half_open", False)


def test_a_probe_brings_an_unreachable_endpoint_back_before_its_cooldown_ends() -> None:
    away = run(HEALTHY, "unreachable", "unreachable", "unreachable")
    assert not available(away, 100.0)
    back = run(away, "probe_ok")
    assert available(back, 100.0)
    assert run(back, "admitted").state == "half_open"


def test_a_probe_does_not_excuse_an_endpoint_that_fails_requests() -> None:
    failing = run(HEALTHY, "failed", "failed", "failed")
    assert run(failing, "probe_ok") is failing


def test_probes_that_fail_in_a_row_take_an_endpoint_out_and_are_no_traffic() -> None:
    failed = run(HEALTHY, "probe_failed", "probe_failed")
    assert (failed.state, failed.window_total) == ("closed", 0)
    out = run(failed, "probe_failed")
    assert (out.state, out.reached) == ("open", False)
    assert run(failed, "succeeded", "probe_failed").state == "closed"


def test_failed_probes_of_a_quiet_endpoint_do_not_add_up_over_those_that_go_well() -> None:
    health = HEALTHY
    for _ in range(20):
        health = run(health, "probe_failed", "probe_failed", "probe_ok")
        assert (health.state, health.in_a_row) == ("closed", 0)


def test_a_probe_that_goes_well_forgets_failed_probes_but_no_failed_request() -> None:
    health = run(HEALTHY, "failed", "probe_failed", "probe_ok")
    assert (health.state, health.in_a_row, health.window_failed) == ("closed", 1, 1)
    assert run(health, "probe_ok") is health
    assert run(health, "failed", "probe_ok", "failed").state == "open"


def test_requests_that_fail_now_and_then_open_the_circuit_though_every_probe_between_goes_well() -> None:
    health = HEALTHY
    for number in range(RULES.failures_in_a_row):
        assert health.state == "closed"
        health = run(health, "probe_ok", "failed", "probe_ok", now_s=100.0 + number * 2 * RULES.window_s)
    assert health.state == "open"


# -- successes counted outside


OUTCOMES = st.lists(st.tuples(st.sampled_from(("succeeded", "failed", "unreachable")), st.floats(0, 0.1)), max_size=90)


@given(OUTCOMES)
def test_successes_counted_outside_lead_to_the_state_that_each_of_them_would_have_led_to(
    outcomes: list[tuple[Event, float]],
) -> None:
    """Within a window, which 90 outcomes of at most 0.1 s do not outlast."""
    each, health, succeeded, now_s = HEALTHY, HEALTHY, 0, 100.0
    for event, passed_s in outcomes:
        now_s += passed_s
        each = after(each, event, now_s, RULES)
        if event == "succeeded" and health is HEALTHY:
            succeeded += 1
        else:
            health = after(calm(succeeded, now_s) if health is HEALTHY else health, event, now_s, RULES)
        if health is HEALTHY:
            assert (each.state, each.in_a_row, each.window_total, each.window_failed) == ("closed", 0, succeeded, 0)
        else:  # the same but for when the window began: outside, only successes are counted
            assert health == msgspec.structs.replace(each, window_from_s=health.window_from_s)
        assert available(each, now_s) == available(health, now_s)


def test_a_window_that_is_over_and_ended_well_is_as_if_it_had_not_been() -> None:
    well = run(HEALTHY, "failed", "succeeded")
    assert settled(well, 109.9, RULES) is well
    assert settled(well, 110.0, RULES) is HEALTHY
    for event in ("failed", "succeeded"):
        assert run(well, event, now_s=110.0) == run(HEALTHY, event, now_s=110.0)


@pytest.mark.parametrize("health", [OPEN, TRIAL, run(HEALTHY, "succeeded", "failed"), run(HEALTHY, "probe_failed")])
def test_what_is_still_going_badly_does_not_settle(health: Health) -> None:
    assert settled(health, 1000.0, RULES) is health


@pytest.mark.parametrize("late", ["succeeded", "failed", "unreachable", "abandoned", "probe_failed"])
def test_late_news_of_earlier_requests_leaves_an_open_circuit_as_it_is(late: Event) -> None:
    assert run(OPEN, late) is OPEN


@pytest.mark.parametrize("event", ["probe_ok", "abandoned", "admitted"])
def test_what_says_nothing_new_leaves_a_closed_circuit_as_it_is(event: Event) -> None:
    assert run(HEALTHY, event) is HEALTHY


def test_every_state_takes_every_event() -> None:
    for state, event in product(get_args(State), get_args(Event)):
        assert run(Health(state, 90.0, 1.0), event).state in get_args(State)


@given(st.lists(st.tuples(st.sampled_from(get_args(Event)), st.floats(0, 20)), max_size=60))
def test_whatever_happens_an_endpoint_is_given_another_chance_within_a_bounded_time(
    history: list[tuple[Event, float]],
) -> None:
    health, now_s = HEALTHY, 0.0
    for event, passed_s in history:
        now_s += passed_s
        if event != "admitted" or available(health, now_s):
            health = after(health, event, now_s, RULES)
        assert health.cooldown_s <= RULES.cooldown_most_s
        assert available(health, now_s + max(RULES.trial_s, RULES.cooldown_most_s))
        if health.state == "closed":
            assert available(health, now_s)


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (None, "succeeded"),
        (errors.UpstreamRejected(400, b"", b""), "succeeded"),
        (errors.ConnectFailed("x"), "unreachable"),
        (errors.UpstreamTimeout("x"), "failed"),
        (errors.UpstreamFailed("x"), "failed"),
        (errors.UpstreamProtocol("x"), "failed"),
        (errors.StreamBroken("x"), "failed"),
        (errors.UpstreamBusy("x"), None),
        (errors.NoEndpoint("x"), None),
        (errors.StoreUnavailable("x"), None),
        (errors.Internal("x"), None),
    ],
)
def test_only_what_the_endpoint_did_counts_for_or_against_it(
    error: errors.GatewayError | None, event: Event | None
) -> None:
    assert event_of(error) == event

from __future__ import annotations

from typing import Any

from gateway.config.snapshot import Snapshot
from tests.support.gateway import Meters, config, snapshot_of
from tests.unit.gateway.policy.test_replay import MODELS, URLS, answered, different, unknown

KEY = "tenant:acme|usd|lifetime|"
CHEAP = {"backend": "b", "served_model": "small", "price": {"input": 10**8, "output": 10**9}}


def with_budget(**at: str | dict[str, str]) -> Snapshot:
    meters: Meters = {"acme": [{"cap": "1000 usd", "window": "lifetime", "at": at}]}
    return snapshot_of(config({"b": URLS}, {**MODELS, "small": CHEAP}, meters=meters))


def test_a_downgrade_comes_out_of_the_reading_it_was_made_by() -> None:
    found = with_budget(**{"500": {"downgrade": "small"}})
    moved = answered(action="downgraded:small", readings=[(KEY, 500, 1000)], served_model="small", charge_nanos=4)
    moved.held_nanos = 60
    assert different(moved, found) == {}
    moved.readings = [(KEY, 499, 1000)]
    assert different(moved, found) == {"downgrade": ("downgraded:small", "")}
    assert different(answered(readings=[(KEY, 500, 1000)]), found) == {"downgrade": ("", "downgraded:small")}


def test_a_downgrade_without_a_reading_is_not_derived() -> None:
    found = with_budget(**{"500": {"downgrade": "small"}})
    assert "downgrade" in unknown(answered(action="downgraded:small"), found)


def refused(**columns: Any) -> Any:
    """A call that needed 1,001 of a budget of 1,000, or what `columns` say."""
    own: dict[str, Any] = {
        "action": f"refused:{KEY}",
        "readings": [(KEY, 500, 1000)],
        "held_output": 41,
        "held_nanos": 510,
        "attempts": [],
        "backend": "",
        "outcome": "refused",
        "code": "insufficient_quota",
        "usage_from": "",
    }
    return answered(**{**own, **columns})


def test_a_refusal_comes_out_of_the_reading_and_of_what_was_needed() -> None:
    assert different(refused(), with_budget()) == {}
    assert different(refused(code="rate_limit_exceeded"), with_budget()) == {
        "code": ("rate_limit_exceeded", "insufficient_quota")
    }
    assert different(refused(action="refused:tenant:globex|usd|lifetime|"), with_budget())["refused"][1] == ""


def test_what_other_workers_held_is_not_in_the_record() -> None:
    assert "refused" in unknown(refused(readings=[(KEY, 10, 1000)]), with_budget())


def test_a_clamp_comes_out_of_what_was_held_for_each_answer() -> None:
    clamped = answered(asked_output=400, answers=2, action="clamped:25")
    assert different(clamped) == {}
    clamped.action = "clamped:50"
    assert different(clamped) == {"clamped": ("clamped:50", "clamped:25")}
    assert different(answered(asked_output=50, answers=1, action="clamped:5"))["clamped"][1] == ""


def test_a_refusal_names_the_cap_that_the_meter_had() -> None:
    assert different(refused(readings=[(KEY, 500, 999)]), with_budget()) == {"cap": ("999", "1000")}


def test_what_was_only_blocked_after_it_was_let_in_was_held_once() -> None:
    entry = {"check": "keywords", "phase": "input", "words": ["plutonium"], "code": "arms", "action": "block"}
    chained = snapshot_of(config({"b": URLS}, MODELS, chain=[entry]))
    blocked = answered(
        chain="c",
        verdicts="input:keywords:arms:block:1.00:1",
        asked_output=400,
        answers=1,
        action="clamped:50",
        usage_from="none",
        attempts=[],
        backend="",
        outcome="refused",
        code="content_filter",
        charge_nanos=0,
    )
    blocked.input_tokens = blocked.output_tokens = 0
    assert "clamped" not in unknown(blocked, chained)
    blocked.action = "clamped:51"
    assert different(blocked, chained)["clamped"] == ("clamped:51", "clamped:50")


def test_why_a_bound_is_not_derived_names_what_happened() -> None:
    masked = answered(asked_output=400, answers=1, verdicts="input:pii:EMAIL_ADDRESS:mask:1.00:1")
    assert "masks" in unknown(masked)["clamped"]
    fell_back = answered(asked_output=400, answers=1, action="fallback:n", served_model="other")
    assert "fallback" in unknown(fell_back)["clamped"]
    left = answered(asked_output=400, answers=1, outcome="cancelled", attempts=[], usage_from="none")
    assert "left" in unknown(left)["clamped"]
    answer = answered(asked_output=50, answers=1, verdicts="output:pii:EMAIL_ADDRESS:mask:1.00:1")
    assert "clamped" not in unknown(answer)


def test_a_stream_that_goes_in_steps_is_not_clamped_unless_a_threshold_says_so() -> None:
    found = with_budget(**{"500": "clamp"})
    steps = answered(asked_output=400, answers=1, stream=True)
    assert different(steps, found) == {}
    steps.readings = [(KEY, 600, 1000)]
    assert different(steps, found) == {"clamped": ("", "clamped:50")}


def test_usage_that_nobody_stated_comes_out_again() -> None:
    silent = answered(usage_from="bound", input_tokens=100, output_tokens=9, answer_bytes=9, charge_nanos=190)
    assert different(silent) == {}
    silent.output_tokens = 8
    assert different(silent)["usage"] == ("100 8 bound", "100 9 bound")
    silent.stream = True
    assert "usage" in unknown(silent)


def test_waste_is_charged_to_a_caller_that_left() -> None:
    left = answered(outcome="cancelled", usage_from="running", waste_tokens=2, waste_nanos=20, charge_nanos=57)
    assert different(left) == {}
    left.outcome = "answered"
    assert different(left) == {"charge": ("57 20", "37 20")}


def test_a_crash_is_charged_what_it_held() -> None:
    crash = answered(outcome="crashed", code="crashed", usage_from="held", charge_nanos=600, served_model="")
    assert different(crash) == {}
    crash.charge_nanos = 37
    assert different(crash) == {"charge": ("37 0", "600 0")}


def test_more_than_was_held_is_charged_as_held() -> None:
    assert different(answered(action="beyond", output_tokens=500, charge_nanos=600)) == {}


def test_what_judging_cost_joins_the_charge() -> None:
    judged = answered(judges="guard", judge_nanos=5, charge_nanos=42)
    assert different(judged) == {}
    assert "held" in unknown(judged)

"""The checks of the chaos suite hold for an honest account, and each fails for the account of a meter that is broken in
its way: a suite that cannot fail says nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from gateway.backends.fake_produced import Production
from tests.chaos.checks import CHECKS, DONE, exercised
from tests.chaos.evidence import Event, Evidence, Holding
from tests.chaos.plan import STEP_TOKENS, Fault, Group, Run
from tests.support.honest_account import BUDGET, CAPS, NOON_NS, SLOTS, honest, of, record


def test_an_honest_account_passes_every_check() -> None:
    verdicts = {name: check(honest()) for name, check in CHECKS.items()}
    assert {name: verdict.wrong for name, verdict in verdicts.items()} == {name: [] for name in CHECKS}
    assert verdicts["overshoot"].figures["overshoot"] == 0
    assert verdicts["produced"].figures["most tokens wasted at a cut"] == 5


def test_what_the_upstream_made_before_it_noticed_the_end_is_not_waste_at_the_cut() -> None:
    seen = honest()
    cut = of(seen, "c")
    cut.waste_tokens = STEP_TOKENS + 5
    cut.attempts[0].ended_ms = 400.0
    made = seen.produced["c"][0]
    made.output_tokens = 20 + STEP_TOKENS + 5
    made.latest = [(11.39, STEP_TOKENS), (11.41, 5)]
    seen.wall_ahead_s = NOON_NS / 1e9
    verdict = CHECKS["produced"](seen)
    assert verdict.wrong == []
    assert verdict.figures["most tokens wasted at a cut"] == STEP_TOKENS
    assert verdict.figures["most until the upstream noticed"] == 5


def test_what_was_made_while_its_worker_waited_for_a_cpu_is_not_the_gateways_waste() -> None:
    seen = honest()
    waste_more_than_a_step(seen)
    of(seen, "c").attempts[0].ended_ms = 400.0
    seen.produced["c"][0].latest = [(11.0, 20), (11.05, STEP_TOKENS - 7), (11.35, 8)]
    seen.wall_ahead_s = NOON_NS / 1e9
    assert CHECKS["produced"](seen).wrong
    seen.events = [Event(0.0, "0-7", "hold", "c", of(seen, "c"), (0, 0, 0))]
    asked = []

    def waited_s(worker: str, began_s: float, ended_s: float) -> float:
        asked.append((worker, began_s, ended_s))
        return 0.005

    seen.waited_s = waited_s
    verdict = CHECKS["produced"](seen)
    assert verdict.wrong == []
    assert verdict.figures["most tokens wasted at a cut"] == STEP_TOKENS + 1
    assert verdict.figures["most of them while its worker had a CPU"] == STEP_TOKENS
    ((worker, began_s, ended_s),) = asked
    assert (worker, began_s, round(ended_s, 6)) == ("0-7", 11.05, 11.4)


def test_what_the_hold_of_a_caller_that_left_did_not_cover_is_waste() -> None:
    seen = honest()
    left = of(seen, "b")
    left.usage_from, left.action, left.held_output = "running", "beyond", 12
    left.output_tokens, left.waste_tokens = 12, 8
    assert CHECKS["produced"](seen).wrong == []


def charge_too_much(seen: Evidence) -> None:
    of(seen, "a").charge_nanos = 401


def let_leases_pass_the_cap(seen: Evidence) -> None:
    seen.history = [*seen.history, Holding(BUDGET, 300, 701)]


def run_three_at_once(seen: Evidence) -> None:
    seen.produced["a"][0].ended_s = 0.55


def admit_four_in_ten_seconds(seen: Evidence) -> None:
    seen.records = [*seen.records, record("e", 9.9), record("f", 9.95, charge_nanos=0)]


def watch_nothing(seen: Evidence) -> None:
    seen.history = []


def keep_a_bucket_of_no_meter(seen: Evidence) -> None:
    seen.history = [*seen.history, Holding("tenant:globex|usd|lifetime|", 0, 0)]


def give_away_a_token(seen: Evidence) -> None:
    seen.calls[0].delivered = 21


def answer_without_a_record(seen: Evidence) -> None:
    seen.calls[0].id = "unknown"


def settle_one_token_less(seen: Evidence) -> None:
    of(seen, "b").output_tokens = 19


def settle_one_token_more(seen: Evidence) -> None:
    of(seen, "a").output_tokens = 21


def forget_the_waste_of_a_cut(seen: Evidence) -> None:
    of(seen, "c").waste_tokens = 0


def waste_more_than_a_step(seen: Evidence) -> None:
    of(seen, "c").waste_tokens = STEP_TOKENS + 1
    seen.produced["c"][0].output_tokens = 20 + STEP_TOKENS + 1


def cut_what_was_held_whole(seen: Evidence) -> None:
    seen.calls[2].max_tokens = 64


def lose_what_was_made_beyond_the_hold_of_a_caller_that_left(seen: Evidence) -> None:
    left = of(seen, "b")
    left.usage_from, left.action, left.held_output = "running", "beyond", 12
    left.output_tokens, left.waste_tokens = 12, 7


def bound_below_what_was_produced(seen: Evidence) -> None:
    of(seen, "a").usage_from = "bound"
    of(seen, "a").output_tokens = 19


def crash_with_a_hold_below_what_was_produced(seen: Evidence) -> None:
    crashed = of(seen, "a")
    crashed.outcome, crashed.usage_from, crashed.output_tokens = "crashed", "held", None
    seen.produced["a"][0].output_tokens = 64 + STEP_TOKENS + 1


def leave_the_upstream_running(seen: Evidence) -> None:
    seen.produced["a"][0].ended = "running"


def keep_a_hold(seen: Evidence) -> None:
    seen.final = {**seen.final, SLOTS: Holding(SLOTS, 0, 1)}


def settle_something_else_than_is_recorded(seen: Evidence) -> None:
    seen.final = {**seen.final, BUDGET: Holding(BUDGET, 899, 0)}


def lose_a_bucket(seen: Evidence) -> None:
    seen.final = {SLOTS: seen.final[SLOTS]}


def lose_the_authority(seen: Evidence) -> None:
    seen.final = {}


def record_twice(seen: Evidence) -> None:
    seen.records = [*seen.records, record("a", 0, charge_nanos=0)]


def lose_a_record(seen: Evidence) -> None:
    seen.records = [each for each in seen.records if each.id != "b"]


def damage_a_journal(seen: Evidence) -> None:
    seen.damaged = 1


def leave_a_budget_unspendable(seen: Evidence) -> None:
    seen.spent_out = {BUDGET: 100}


BROKEN: list[tuple[str, Callable[[Evidence], None]]] = [
    ("overshoot", charge_too_much),
    ("overshoot", let_leases_pass_the_cap),
    ("overshoot", run_three_at_once),
    ("overshoot", admit_four_in_ten_seconds),
    ("overshoot", watch_nothing),
    ("overshoot", keep_a_bucket_of_no_meter),
    ("delivered", give_away_a_token),
    ("delivered", answer_without_a_record),
    ("produced", settle_one_token_less),
    ("produced", settle_one_token_more),
    ("produced", forget_the_waste_of_a_cut),
    ("produced", waste_more_than_a_step),
    ("produced", cut_what_was_held_whole),
    ("produced", lose_what_was_made_beyond_the_hold_of_a_caller_that_left),
    ("produced", bound_below_what_was_produced),
    ("produced", crash_with_a_hold_below_what_was_produced),
    ("produced", leave_the_upstream_running),
    ("released", keep_a_hold),
    ("released", settle_something_else_than_is_recorded),
    ("released", lose_a_bucket),
    ("released", lose_the_authority),
    ("recorded", record_twice),
    ("recorded", lose_a_record),
    ("recorded", damage_a_journal),
    ("spendable", leave_a_budget_unspendable),
]


@pytest.mark.parametrize(("check", "breaking"), BROKEN, ids=[breaking.__name__ for _, breaking in BROKEN])
def test_a_broken_meter_is_found(check: str, breaking: Callable[[Evidence], None]) -> None:
    seen = honest()
    seen.produced = {
        name: msgspec.convert(msgspec.to_builtins(made), list[Production]) for name, made in seen.produced.items()
    }
    breaking(seen)
    assert CHECKS[check](seen).wrong


def a_run(*faults: Fault) -> Run:
    return Run("short", "sqlite", 1, [Group("acme", 4)], CAPS, faults)


def test_a_run_in_which_all_was_done_says_how_much() -> None:
    seen = honest()
    seen.records = [*seen.records, record("e", 2, outcome="crashed")]
    verdict = exercised(a_run(Fault(0.5, "kill worker")), seen)
    assert verdict.wrong == ["2 answers in 1 s are too few to show anything"]
    seen.records = [*seen.records, record("f", 3)]
    verdict = exercised(a_run(Fault(0.5, "kill worker")), seen)
    assert verdict.wrong == []
    assert verdict.figures["callers"] == 4


def test_a_run_in_which_nothing_happened_shows_nothing() -> None:
    seen = honest()
    seen.records = [each for each in seen.records if each.outcome != "cancelled"]
    assert len(exercised(a_run(Fault(0.5, "crowd disk", 1.0)), seen).wrong) == 3


@pytest.mark.parametrize("what", list(DONE))
def test_a_fault_that_did_not_meet_the_keeper_shows_nothing(what: Any) -> None:
    seen = honest()
    seen.records = [*seen.records, record("e", 3), record("f", 3, outcome="crashed")]
    assert exercised(a_run(Fault(0.5, what)), seen).wrong == [f"{what}: {DONE[what]}"]
    seen.done = {what: 1}
    assert exercised(a_run(Fault(0.5, what)), seen).wrong == []


def test_every_check_has_been_seen_to_fail() -> None:
    assert {check for check, _ in BROKEN} == set(CHECKS) - {"stored", "spans"}  # those: test_table_checks

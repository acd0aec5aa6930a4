"""gateway.policy.verdicts"""

from __future__ import annotations

from gateway.policy.verdicts import MOST, Found
from guardrails.verdict import Action, Failure, Finding, Ruling, Verdict


def ruling(check: str, code: str, score: float, action: Action = Action.MASK, *, enforced: bool = True) -> Ruling:
    return Ruling(Finding(check, code, score, 3, 9), action, enforced)


def test_findings_of_one_kind_are_counted_with_the_highest_score() -> None:
    found = Found()
    found.add("input", Verdict((ruling("pii", "EMAIL_ADDRESS", 0.5), ruling("pii", "EMAIL_ADDRESS", 1.0)), ()))
    found.add("input", Verdict((ruling("pii", "EMAIL_ADDRESS", 0.75),), ()))
    found.add("output", Verdict((ruling("pii", "EMAIL_ADDRESS", 1.0),), ()))
    assert found.words() == "input:pii:EMAIL_ADDRESS:mask:1.00:3 output:pii:EMAIL_ADDRESS:mask:1.00:1"


def test_a_check_that_only_observes_says_what_it_would_have_done() -> None:
    found = Found()
    found.add("output", Verdict((ruling("toxicity", "toxicity", 0.913, Action.BLOCK, enforced=False),), ()))
    assert found.words() == "output:toxicity:toxicity:would_block:0.91:1"


def test_a_check_that_did_not_judge_says_why_and_what_became_of_the_text() -> None:
    found = Found()
    found.add(
        "input", Verdict((), (Failure("injection", "late", closed=True), Failure("webhook", "late", closed=False)))
    )
    assert found.words() == "input:injection:late:fail_closed:1.00:1 input:webhook:late:fail_open:1.00:1"


def test_a_code_of_an_administrator_breaks_no_word() -> None:
    found = Found()
    found.add("input", Verdict((ruling("regex", "our code: 7\n", 1.0),), ()))
    assert found.words() == "input:regex:our_code_7_:mask:1.00:1"


def test_words_are_bounded_and_count_what_they_leave_out() -> None:
    found = Found()
    for number in range(MOST + 5):
        found.add("input", Verdict((ruling("regex", f"c{number}", 1.0),), ()))
    words = found.words().split()
    assert len(words) == MOST + 1
    assert words[-1] == "more:more:more:more:1.00:5"

import pytest

from guardrails.check import Nonsense, Sight
from guardrails.checks.patterned import JoinedChecks, PatternCheck, Rule, bounded
from guardrails.patterns.syntax import PatternError
from guardrails.verdict import Finding

CHECK = PatternCheck(
    "mine", [Rule("ODD", r"(?<!\d)\d{1,9}(?!\d)", 0.7, lambda match, _: int(match) % 2 == 1), Rule("X", "x+")]
)


def test_findings_name_the_check_the_rule_and_the_place() -> None:
    watch = CHECK.watch()
    assert CHECK.sight is Sight.PATTERN
    assert watch.feed("12 13 xx ") == [Finding("mine", "ODD", 0.7, 3, 5), Finding("mine", "X", 1.0, 6, 8)]
    assert watch.finish() == []
    assert watch.settled == 9


def test_a_pattern_check_asks_nothing() -> None:
    with pytest.raises(Nonsense):
        CHECK.watch().answer(0, 1.0)


def test_joined_checks_find_what_each_finds_under_its_own_name() -> None:
    watch = JoinedChecks([CHECK, PatternCheck("other", [Rule("AT", r"@\w+")])]).watch()
    found = watch.feed("13 @home xx ") + watch.finish()
    assert {(each.check, each.code) for each in found if isinstance(each, Finding)} == {
        *(("mine", "ODD"), ("mine", "X"), ("other", "AT"))
    }


def test_a_check_without_a_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="has no rule"):
        PatternCheck("mine", [])


def test_a_pattern_that_would_explode_is_refused() -> None:
    assert bounded("(a+)+b") == "(a+)+b"
    with pytest.raises(PatternError, match="more than 3000 states"):
        bounded("(a|b)*a(a|b){14}")

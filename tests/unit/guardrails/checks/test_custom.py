from typing import Any

import pytest

from guardrails.checks.custom import rules_of
from guardrails.checks.patterned import PatternCheck
from guardrails.verdict import Finding
from tests.support.finding import found


def check(written: object, threshold: float = 0.4) -> PatternCheck:
    return PatternCheck("pii", rules_of("MINE", written, threshold))


def test_a_pattern_alone_is_a_recogniser() -> None:
    assert found(check(r"\bB-\d{5}\b"), "B-12345 or B-1") == [("MINE", "B-12345")]


def test_words_of_a_deny_list_are_found_whole_and_in_any_case() -> None:
    words = check({"deny_list": ["Project Falcon", "Blue Heron", "blue"]})
    assert found(words, "project  FALCON, blue heron, Blue, bluer") == [
        *(("MINE", "project  FALCON"), ("MINE", "blue heron"), ("MINE", "Blue"))
    ]


def test_a_weak_pattern_counts_beside_a_word_of_its_context_and_then_scores_more() -> None:
    weak = check({"patterns": [r"\b\d{6}\b"], "score": 0.01, "context": ["employee", "staff number"]})
    assert found(weak, "order 123456, 654321") == []
    assert found(weak, "Our Employees are 123456 and 654321") == [("MINE", "123456"), ("MINE", "654321")]
    assert found(weak, "unemployee 123456") == []
    assert found(weak, "123456 is the staff number") == []  # only what was said before
    assert found(weak, "employee" + " " * 60 + "123456") == []  # and not far before
    [finding] = weak.watch().feed("the staff  number 123456 ")
    assert isinstance(finding, Finding)
    assert finding.score == 0.4
    [strong] = rules_of("MINE", {"patterns": ["a"], "score": 0.3, "context": ["b"]}, 0.6)
    assert strong.score == pytest.approx(0.65)


def test_each_pattern_may_have_a_score_of_its_own() -> None:
    both = {
        "patterns": [{"regex": r"\bX-\d+\b", "score": 0.9}, r"\b\d{4}\b"],
        "score": 0.2,
        "context": ["badge"],
    }
    assert found(check(both), "X-1 and 1234") == [("MINE", "X-1")]
    assert found(check(both), "badge X-1 and 1234") == [("MINE", "X-1"), ("MINE", "1234")]


def test_words_of_a_weak_deny_list_need_the_context_too() -> None:
    weak = {"deny_list": ["mercury rising"], "score": 0.1, "context": ["project"]}
    assert found(check(weak), "mercury rising, project mercury rising") == [("MINE", "mercury rising")]


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (7, "a pattern is wanted, or a map"),
        ({}, "neither patterns nor a deny_list"),
        ({"regex": "a"}, "regex is unknown here; known are patterns"),
        ({"patterns": "a"}, "patterns: a list"),
        ({"patterns": [{"regex": "a", "weight": 1}]}, "patterns: each is"),
        ({"patterns": ["a"], "score": 0}, "score: above 0"),
        ({"patterns": ["a"], "score": True}, "score: above 0"),
        ({"deny_list": ["a", " "]}, "deny_list: .*blank"),
        ({"deny_list": "a"}, "deny_list: a list"),
        ({"patterns": ["a"], "context": [1]}, "context: a list"),
        ({"patterns": ["a"], "score": 0.1}, r"0\.1, without a context no more, is below the threshold of 0\.4"),
        ({"patterns": ["(a|b)*a(a|b){14}"]}, "states"),
        ({"patterns": ["a+"], "score": 0.1, "context": ["b"]}, "longest match"),
        ({"patterns": [r"(a)\1"]}, "back-reference"),
    ],
)
def test_what_cannot_be_meant_is_refused(written: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rules_of("MINE", written, 0.4)

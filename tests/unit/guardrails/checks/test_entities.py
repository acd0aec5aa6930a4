from typing import Any

import pytest

from guardrails.check import Check, Need, Nonsense, Sight
from guardrails.checks.entities import EntityCheck, pii
from guardrails.checks.patterned import PatternCheck
from guardrails.verdict import Finding
from tests.support.finding import found

SENTENCE = "My name is Ada Lovelace and I live in London. " * 5
"""A segment and a piece of the next."""


def named(*entities: str) -> EntityCheck:
    [check] = pii(entities)
    assert isinstance(check, EntityCheck)
    return check


def test_entities_with_a_form_stay_a_check_of_patterns_and_others_are_asked_for_beside_it() -> None:
    [patterns] = pii(["EMAIL_ADDRESS"], {"ID": r"ID\d+"})
    assert isinstance(patterns, PatternCheck)
    patterns, asked = pii(["EMAIL_ADDRESS", "PERSON"])
    assert (patterns.sight, asked.sight) == (Sight.PATTERN, Sight.SEGMENT)
    assert patterns.name == asked.name == "pii"
    assert isinstance(patterns, PatternCheck)
    assert {rule.code for _, rule in patterns.rules} == {"EMAIL_ADDRESS"}
    assert [check.sight for check in pii()] == [Sight.PATTERN]


def test_segments_are_asked_about_and_places_are_told_in_the_text() -> None:
    watch = named("PERSON", "LOCATION").watch()
    [need] = watch.feed(SENTENCE)
    assert isinstance(need, Need)
    assert (need.kind, need.name, need.number) == ("entities", "LOCATION,PERSON", 0)
    assert SENTENCE.startswith(need.text)
    [rest] = watch.finish()
    assert isinstance(rest, Need)
    assert need.text + rest.text == SENTENCE
    assert watch.answer(0, [[11, 23, "PERSON", 0.85], (38, 44, "LOCATION", 1)]) == [
        Finding("pii", "PERSON", 0.85, 11, 23),
        Finding("pii", "LOCATION", 1.0, 38, 44),
    ]
    assert watch.settled == len(need.text)
    assert watch.answer(1, [[0, 1, "PERSON", 0.5]]) == [
        Finding("pii", "PERSON", 0.5, len(need.text), len(need.text) + 1)
    ]
    assert watch.settled == len(SENTENCE)


def test_entities_that_were_not_asked_for_are_no_findings() -> None:
    watch = named("PERSON").watch()
    watch.feed("In London.")
    watch.finish()
    assert watch.answer(0, [[3, 9, "LOCATION", 0.85]]) == []


@pytest.mark.parametrize(
    "value",
    [
        None,
        0.5,
        {"start": 0},
        [None],
        [[0, 1, "PERSON"]],
        [[0, 1, "PERSON", 0.5, 1]],
        [[0, 11, "PERSON", 0.5]],
        [[-1, 1, "PERSON", 0.5]],
        [[1, 1, "PERSON", 0.5]],
        [["0", 1, "PERSON", 0.5]],
        [[0, 1, 7, 0.5]],
        [[0, 1, "PERSON", 1.5]],
        [[0, 1, "PERSON", float("nan")]],
        [[0, 1, "PERSON", True]],
    ],
)
def test_what_is_no_list_of_entities_is_nonsense_and_changes_nothing(value: object) -> None:
    watch = named("PERSON").watch()
    watch.feed("In London.")
    watch.finish()
    with pytest.raises(Nonsense):
        watch.answer(0, value)
    assert watch.settled == 0
    assert watch.answer(0, []) == []


def test_what_scores_below_the_threshold_is_no_finding() -> None:
    [check] = pii(["ORGANIZATION"], threshold=0.5)
    watch = check.watch()
    watch.feed("In London.")
    watch.finish()
    assert watch.answer(0, [[0, 2, "ORGANIZATION", 0.425]]) == []
    [weak] = [rule for _, rule in _patterns(pii(threshold=1)).rules if rule.code == "CREDIT_CARD"]
    assert weak.score == 1
    assert "DATE_TIME" not in {rule.code for _, rule in _patterns(pii(threshold=0.71)).rules}


def test_identifiers_of_countries_are_asked_for_by_the_names_of_presidio() -> None:
    patterns, asked = pii(["EMAIL_ADDRESS", "UK_NHS", "PERSON"])
    assert isinstance(patterns, PatternCheck)
    assert isinstance(asked, EntityCheck)
    assert asked.asks == ("entities", "PERSON,UK_NHS")


def test_only_the_entities_asked_for_are_found_and_own_ones_beside() -> None:
    [check] = pii(["CREDIT_CARD"], {"STAFF_ID": r"\bE-\d{5}\b"})
    assert found(check, "E-12345 writes to a@b.org") == [("STAFF_ID", "E-12345")]


def test_what_is_allowed_is_not_found_by_either() -> None:
    patterns, asked = pii(["EMAIL_ADDRESS", "PERSON"], allow_list=["help@example.org", "Ada  Lovelace"])
    assert found(patterns, "a@example.org, Help@example.org") == [("EMAIL_ADDRESS", "a@example.org")]
    watch = asked.watch()
    watch.feed("ada lovelace met Bob")
    watch.finish()
    assert watch.answer(0, [[0, 12, "PERSON", 0.85], [17, 20, "PERSON", 0.85]]) == [
        Finding("pii", "PERSON", 0.85, 17, 20)
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"entities": ["PERSONS"]}, r"^entities: there is no PERSONS; do you mean PERSON\? `lockgate checks list`"),
        ({"entities": ["uk_nhs"]}, r"^entities: there is no uk_nhs; do you mean UK_NHS\?"),
        ({"entities": []}, "^entities: names none"),
        ({"entities": ["DATE_TIME"], "threshold": 0.8}, r"^threshold: DATE_TIME never scores more than 0\.7"),
        ({"custom": {"MINE": "(a|b)*a(a|b){14}"}}, r"^custom: MINE: .*states"),
        ({"custom": {"MINE": {"score": 0.1, "patterns": ["a"]}}}, r"^custom: MINE: .*find nothing"),
    ],
)
def test_what_cannot_be_meant_names_the_setting_and_what_would_be_right(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pii(**settings)


def _patterns(checks: tuple[Check, ...]) -> PatternCheck:
    [check] = checks
    assert isinstance(check, PatternCheck)
    return check

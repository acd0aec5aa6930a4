import pytest

from guardrails.check import Need, Nonsense, Sight
from guardrails.checks.entities import EntityCheck, pii
from guardrails.checks.patterned import PatternCheck
from guardrails.verdict import Finding

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
    assert (need.kind, need.name, need.number) == ("entities", "presidio", 0)
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


def test_an_entity_nobody_knows_and_none_at_all_are_refused() -> None:
    with pytest.raises(ValueError, match=r"no such entity: PERSONS; known are ADDRESS, .*PERSON"):
        pii(["PERSONS"])
    with pytest.raises(ValueError, match="no entity"):
        pii([])

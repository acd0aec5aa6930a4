import pytest

from guardrails.chain import ChainError, Link, OnFailure, chain
from guardrails.check import Sight
from guardrails.checks.asked import AskedCheck
from guardrails.checks.patterned import PatternCheck, Rule
from guardrails.settings import chain_of
from guardrails.verdict import Action, Phase

OUTPUT = frozenset({Phase.OUTPUT})
WORDS = PatternCheck("words", [Rule("WORD", "word")])
WHOLE = AskedCheck("whole", "classifier", "whole", "bad")


def test_a_chain_gives_the_checks_of_a_phase_in_order() -> None:
    links = [Link(WORDS, frozenset(Phase), Action.MASK), Link(WHOLE, OUTPUT, Action.BLOCK)]
    made = chain("standard", links)
    assert made.of(Phase.OUTPUT) == tuple(links)
    assert made.of(Phase.INPUT) == tuple(links[:1])


def test_a_chain_says_how_long_it_holds_a_stream_back() -> None:
    made = chain("standard", [Link(WORDS, frozenset(Phase), Action.MASK), Link(WHOLE, OUTPUT, Action.BLOCK)])
    assert made.sight(Phase.OUTPUT) is Sight.WHOLE
    assert made.sight(Phase.INPUT) is Sight.PATTERN
    observed = chain("standard", [Link(WHOLE, OUTPUT, Action.BLOCK, enforced=False)])
    assert observed.sight(Phase.OUTPUT) is None
    noted = chain("noted", [Link(WHOLE, OUTPUT, Action.ANNOTATE, on_failure=OnFailure.OPEN)])
    assert noted.sight(Phase.OUTPUT) is None


def test_a_chain_says_whom_its_checks_may_ask() -> None:
    made = chain_of(
        "standard",
        [
            {"check": "secrets", "phase": "input", "action": "mask"},
            {"check": "injection", "phase": ["input", "tool_result"], "action": "block"},
            {"check": "webhook", "phase": "output", "action": "block", "target": "review", "code": "review"},
        ],
    )
    assert made.asks == {("classifier", "injection"), ("webhook", "review")}


def test_pattern_checks_read_a_text_together_and_apart_from_those_that_only_observe() -> None:
    other, third = PatternCheck("other", [Rule("OTHER", "other")]), PatternCheck("third", [Rule("X", "x1")])
    links = [Link(WORDS, OUTPUT, Action.MASK), Link(WHOLE, OUTPUT, Action.BLOCK), Link(other, OUTPUT, Action.BLOCK)]
    made = chain("standard", [*links, Link(third, OUTPUT, Action.BLOCK, enforced=False)])
    rows = {row.check.name: row for row in made.rows(Phase.OUTPUT)}
    assert set(rows) == {"whole", "words+other", "third"}
    assert [rank for rank, _ in rows["words+other"].links.values()] == [0, 2]
    assert not rows["third"].holds


@pytest.mark.parametrize(
    ("links", "problem"),
    [
        ([Link(WORDS, frozenset(), Action.MASK)], r"chains.mine\[0\] \(words\): has no phase"),
        ([Link(WHOLE, OUTPUT, Action.MASK)], "no part to mask"),
        ([Link(WORDS, OUTPUT, Action.MASK_REVERSIBLE)], "masked for good"),
        ([Link(WHOLE, OUTPUT, Action.BLOCK, deadline_ms=0)], "over before it begins"),
        (
            [Link(WORDS, OUTPUT, Action.BLOCK), Link(WORDS, OUTPUT, Action.MASK)],
            r"\[1\] \(words\): never reached in output",
        ),
    ],
)
def test_a_contradiction_is_an_error_that_names_its_place(links: list[Link], problem: str) -> None:
    with pytest.raises(ChainError, match=problem):
        chain("mine", links)

import pytest

from guardrails.check import Nonsense
from guardrails.checks.length import LengthCheck
from guardrails.verdict import Finding


def test_a_text_is_found_from_its_first_character_too_many_however_it_comes() -> None:
    for pieces in (["12345678"], ["1234", "5", "67", "8"], list("12345678")):
        watch = LengthCheck(5).watch()
        found = [step for piece in pieces for step in watch.feed(piece)] + watch.finish()
        assert found == [Finding("length", "too_long", 1.0, 5, 6)]


def test_a_text_of_the_length_is_let_through() -> None:
    watch = LengthCheck(5).watch()
    assert watch.feed("12345") + watch.finish() == []
    assert watch.settled == 5


def test_a_length_that_lets_nothing_through_is_refused_and_it_asks_nothing() -> None:
    with pytest.raises(ValueError, match="nothing through"):
        LengthCheck(0)
    with pytest.raises(Nonsense):
        LengthCheck(1).watch().answer(0, 1)

from guardrails.check import Asking, Need
from guardrails.checks.allowed import allowing
from guardrails.checks.asked import AskedCheck, toxicity
from guardrails.checks.patterned import PatternCheck, Rule
from guardrails.verdict import Finding
from tests.support.finding import found

WORDS = PatternCheck("words", [Rule("WORD", r"(?<![\w ])[A-Z]\w+(?: [A-Z]\w+)?\b")])


def test_what_is_found_as_a_whole_in_any_case_and_as_a_reader_sees_it_is_free() -> None:
    check = allowing(WORDS, ["ada lovelace", "Rome"])
    assert found(check, "Ada Lovelace,Ada,ROME,Аda\u200b Lovelace,Rome Today") == [
        *(("WORD", "Ada"), ("WORD", "Rome Today"))
    ]
    assert (check.name, check.sight) == (WORDS.name, WORDS.sight)
    assert not isinstance(check, Asking)


def test_it_makes_no_difference_how_a_text_is_cut() -> None:
    text = "x" * 300 + ",Rome,Paris," + "Y" * 100 + ",Rome"
    whole = allowing(WORDS, ["Rome"]).watch()
    expected = whole.feed(text) + whole.finish()
    letters = allowing(WORDS, ["Rome"]).watch()
    steps = [step for letter in text for step in letters.feed(letter)] + letters.finish()
    assert steps == expected
    assert [step.end - step.start for step in steps if isinstance(step, Finding)] == [5, 100]
    assert letters.settled == len(text)


def test_one_that_asks_still_asks_and_is_told_the_answer() -> None:
    check = allowing(toxicity(), ["Fine."])
    assert isinstance(check, Asking)
    assert check.asks == ("classifier", "toxicity")
    watch = check.watch()
    watch.feed("Fine.")
    [need] = watch.finish()
    assert isinstance(need, Need)
    assert watch.answer(need.number, 1.0) == []


def test_without_words_it_is_the_check_itself_and_two_alike_are_equal() -> None:
    assert allowing(WORDS, []) is WORDS
    assert allowing(WORDS, ["a"]) == allowing(WORDS, ["A"]) != allowing(WORDS, ["b"])
    asked = AskedCheck("bad", "classifier", "bad", "bad")
    assert len({allowing(asked, ["a"]), allowing(asked, ["A"])}) == 1

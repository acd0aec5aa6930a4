import pytest

from guardrails.chain import Chain, Link, OnFailure
from guardrails.check import Sight
from guardrails.checks.asked import AskedCheck
from guardrails.checks.patterned import PatternCheck, Rule
from guardrails.screen import Screen
from guardrails.verdict import Action, Phase
from tests.support.checks import RaisingCheck

OUTPUT = frozenset({Phase.OUTPUT})
MAIL = Link(PatternCheck("pii", [Rule("EMAIL", r"\b[\w.]+@\w+(?:\.\w+)+")]), OUTPUT, Action.MASK)
STOP = Link(PatternCheck("words", [Rule("STOP", r"\bstop now\b")]), OUTPUT, Action.BLOCK)
SENTENCES = AskedCheck("bad", "classifier", "bad", "bad", sight=Sight.SEGMENT)
BAD = Link(SENTENCES, OUTPUT, Action.BLOCK, deadline_ms=100)
OPEN = Link(SENTENCES, OUTPUT, Action.BLOCK, on_failure=OnFailure.OPEN)
FIRST = "This is a first sentence, which is long enough to be judged alone."
SECOND = " And this is a second one that is also long enough to be judged alone."


def _screen(*links: Link) -> Screen:
    return Screen(Chain("mine", links).rows(Phase.OUTPUT))


def test_text_leaves_at_once_but_for_an_open_match_which_is_masked() -> None:
    screen = _screen(MAIL)
    assert [screen.feed(piece) for piece in ("Write to ", "joe@x", ".org", " and ", "wait")] == [
        "Write to ",
        "",
        "",
        "[EMAIL] and ",
        "",
    ]
    assert screen.finish() == "wait"
    ((ruling),) = screen.verdict().rulings
    assert (ruling.finding.code, ruling.finding.start, ruling.finding.end) == ("EMAIL", 9, 18)


def test_a_block_delivers_what_came_before_and_nothing_after() -> None:
    screen = _screen(MAIL, STOP)
    assert screen.feed("Then a@b.org said stop now and went") == "Then [EMAIL] said "
    assert screen.blocked
    assert screen.feed("on") == screen.finish() == ""
    assert screen.verdict().action is Action.BLOCK


def test_a_segment_waits_for_its_answer_whichever_comes_first() -> None:
    screen = _screen(BAD)
    assert screen.feed(FIRST + SECOND) == screen.finish() == ""
    first, second = screen.calls()
    assert [first.need.text, second.need.text] == [FIRST, SECOND]
    assert first.link.deadline_ms == 100
    assert screen.answer(second, 0.0) == ""
    assert screen.waits
    assert screen.answer(first, 0.0) == FIRST + SECOND
    assert not screen.waits


def test_a_segment_that_is_bad_blocks_from_its_start() -> None:
    screen = _screen(BAD)
    screen.feed(FIRST + SECOND)
    screen.finish()
    first, second = screen.calls()
    assert screen.answer(second, 0.9) == ""
    assert screen.answer(first, 0.1) == FIRST
    assert screen.blocked


@pytest.mark.parametrize(("link", "delivered"), [(BAD, ""), (OPEN, FIRST)])
def test_a_check_that_is_late_does_what_its_failure_mode_says(link: Link, delivered: str) -> None:
    screen = _screen(link)
    screen.feed(FIRST)
    screen.finish()
    (call,) = screen.calls()
    assert screen.fail(call, "late") == delivered
    (failure,) = screen.verdict().failures
    assert (failure.check, failure.reason, failure.closed) == ("bad", "late", link is BAD)
    assert screen.answer(call, 0.0) == ""  # too late


@pytest.mark.parametrize(("mode", "delivered"), [(OnFailure.CLOSED, ""), (OnFailure.OPEN, "text")])
def test_a_check_that_raises_does_what_its_failure_mode_says(mode: OnFailure, delivered: str) -> None:
    screen = _screen(Link(RaisingCheck(), OUTPUT, Action.BLOCK, on_failure=mode))
    assert screen.feed("text") + screen.finish() == delivered
    assert [failure.reason for failure in screen.verdict().failures] == ["raised"]


def test_an_answer_that_is_none_is_a_failure() -> None:
    screen = _screen(BAD)
    screen.feed(FIRST)
    screen.finish()
    (call,) = screen.calls()
    assert screen.answer(call, "yes") == ""
    assert screen.blocked
    assert [failure.reason for failure in screen.verdict().failures] == ["nonsense"]


def test_a_check_that_observes_changes_nothing_and_is_waited_for_by_nobody() -> None:
    screen = _screen(*(Link(check, OUTPUT, Action.BLOCK, enforced=False) for check in (BAD.check, MAIL.check)))
    text = FIRST + " a@b.org "
    assert screen.feed(text) + screen.finish() == text
    for call in screen.calls():
        screen.answer(call, 1.0)
    verdict = screen.verdict()
    assert {ruling.finding.check for ruling in verdict.rulings} == {"bad", "pii"}
    assert verdict.action is Action.ALLOW


def test_a_whole_text_is_held_until_it_is_judged() -> None:
    screen = _screen(Link(AskedCheck("whole", "classifier", "whole", "bad"), OUTPUT, Action.BLOCK))
    assert screen.feed("Something") == screen.finish() == ""
    (call,) = screen.calls()
    assert screen.answer(call, 0.2) == "Something"


@pytest.mark.parametrize("size", [7, 150_000])
def test_a_long_text_takes_time_that_grows_with_its_length(size: int) -> None:
    text = "a@b.cd, words. " * (150_000 // 15)  # quadratic work would outlast the test's limit
    screen = _screen(MAIL, BAD, Link(AskedCheck("whole", "classifier", "whole", "bad"), OUTPUT, Action.BLOCK))
    out = [screen.feed(text[at : at + size]) for at in range(0, len(text), size)]
    out.append(screen.finish())
    assert "".join(out) == ""
    out += [screen.answer(call, 0.0) for call in screen.calls()]
    assert "".join(out) == text.replace("a@b.cd", "[EMAIL]")

import pytest

from guardrails.check import Need, Nonsense, Sight, Step
from guardrails.checks.asked import OVERLAP, AskedCheck, Beyond, injection, model, toxicity, webhook
from guardrails.verdict import Finding

LONG = "".join(chr(97 + number % 26) for number in range(2_500))


def _check(beyond: Beyond = Beyond.SEGMENTS) -> AskedCheck:
    return AskedCheck("mine", "classifier", "it", "bad", 0.7, Sight.WHOLE, 1_000, beyond)


def _needs(steps: Step) -> list[Need]:
    return [step for step in steps if isinstance(step, Need)]


def test_a_whole_text_is_asked_about_at_its_end_and_settled_when_it_is_answered() -> None:
    watch = _check().watch()
    assert watch.feed("some ") + watch.feed("text") == []
    assert watch.settled == 0
    assert watch.finish() == [Need("classifier", "it", "some text", 0)]
    assert watch.settled == 0
    assert watch.answer(0, 0.7) == [Finding("mine", "bad", 0.7, 0, 9)]
    assert watch.settled == 9


def test_a_score_below_the_threshold_is_no_finding() -> None:
    watch = _check().watch()
    watch.feed("text")
    watch.finish()
    assert watch.answer(0, 0) == []


@pytest.mark.parametrize("value", [None, "1", True, -0.1, 1.1, float("nan"), [0.5]])
def test_what_is_no_score_is_nonsense(value: object) -> None:
    watch = _check().watch()
    watch.feed("text")
    watch.finish()
    with pytest.raises(Nonsense):
        watch.answer(0, value)


def test_of_a_long_text_all_parts_are_judged_or_head_and_tail_or_it_is_refused() -> None:
    parts = _check().parts(LONG)
    assert all(LONG.startswith(part, at) and len(part) <= 1_000 for at, part in parts)
    assert {at for start, part in parts for at in range(start, start + len(part))} == set(range(len(LONG)))
    assert [at for at, _ in parts] == list(range(0, 2_300, 1_000 - OVERLAP))
    assert _check(Beyond.HEAD_AND_TAIL).parts(LONG) == [(0, LONG[:500]), (2_000, LONG[2_000:])]
    watch = _check(Beyond.REFUSE).watch()
    watch.feed(LONG)
    assert watch.finish() == [Finding("mine", "too_long", 1.0, 0, 2_500)]
    assert watch.settled == 2_500


def test_sentences_are_asked_about_as_they_come() -> None:
    watch = toxicity().watch()
    first = "This is a first sentence, which is long enough to be judged alone."
    (need,) = _needs(watch.feed(first + " And"))
    assert (need.text, watch.settled) == (first, 0)
    assert watch.answer(0, 0.1) == []
    assert watch.settled == len(first)
    assert [each.text for each in _needs(watch.finish())] == [" And"]


def test_an_empty_text_asks_nothing() -> None:
    assert _check().watch().finish() == toxicity().watch().finish() == []


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="all or nothing"):
        injection(threshold=0)
    with pytest.raises(ValueError, match="too few"):
        injection(most=100)
    with pytest.raises(ValueError, match="not of a pattern"):
        AskedCheck("mine", "classifier", "it", "bad", sight=Sight.PATTERN)


def test_each_asks_its_own_kind() -> None:
    checks = [injection(), toxicity(), model("guard", "unsafe"), webhook("dlp", "leak")]
    assert [(check.kind, check.target) for check in checks] == [
        *(("classifier", "injection"), ("classifier", "toxicity"), ("model", "guard"), ("webhook", "dlp"))
    ]

import json

import pytest

from guardrails.check import Need, Nonsense, Sight
from guardrails.checks.topics import TopicsCheck, topics
from guardrails.verdict import Finding

CHECK = topics(["orders", "returns"], ["politics"], 0.4)


def answered(check: TopicsCheck, value: object) -> object:
    watch = check.watch()
    watch.feed("Where is it?")
    watch.finish()
    return watch.answer(0, value)


def test_a_text_is_asked_about_together_with_its_phrases() -> None:
    watch = CHECK.watch()
    watch.feed("Where is it?")
    [need] = watch.finish()
    assert isinstance(need, Need)
    assert (need.kind, need.name, CHECK.sight) == ("similarity", "minilm", Sight.WHOLE)
    assert json.loads(need.text) == ["Where is it?", "orders", "returns", "politics"]


@pytest.mark.parametrize(
    ("near", "code", "score"),
    [
        ([0.4, 0, 0.39], None, 0),
        ([0.1, 1.0000001, -1], None, 0),
        ([0.9, 0.9, 0.4], "denied_topic", 0.4),
        ([0.25, 0.1, 0.1], "other_topic", 0.75),
        ([-0.3, -0.1, 0.1], "other_topic", 1.0),
    ],
)
def test_what_is_denied_and_what_is_near_nothing_allowed_is_found(
    near: list[float], code: str | None, score: float
) -> None:
    assert answered(CHECK, near) == ([] if code is None else [Finding("topics", code, score, 0, 12)])


def test_without_phrases_to_allow_all_but_the_denied_is_allowed() -> None:
    assert answered(topics(deny=["politics"]), [0.1]) == []
    assert answered(topics(deny=["politics"]), [0.5]) == [Finding("topics", "denied_topic", 0.5, 0, 12)]


@pytest.mark.parametrize("value", [None, 0.5, [], [0.5, 0.5], [0.5, 0.5, "1"], [0.5, 0.5, 1.1], [0, 0, float("nan")]])
def test_what_is_no_list_of_similarities_is_nonsense(value: object) -> None:
    with pytest.raises(Nonsense):
        answered(CHECK, value)


def test_topics_that_name_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="no topic"):
        topics()
    with pytest.raises(ValueError, match="blank"):
        topics(["orders", " "])
    with pytest.raises(ValueError, match="all or nothing"):
        topics(["orders"], threshold=0)

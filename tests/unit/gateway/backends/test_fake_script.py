from __future__ import annotations

import pytest

from gateway.backends.fake_script import Director, Rule, Script, parse
from gateway.errors import ConfigError


def director(text: str) -> Director:
    return Director(parse(text))


def test_the_first_rule_that_fits_decides() -> None:
    script = director("rules: [{match: cat, answer: one}, {match: c, answer: two}]")
    assert script.rule_for("chat", "m", "a cat").answer == "one"
    assert script.rule_for("chat", "m", "a cow").answer == "two"


def test_without_a_rule_the_script_answers_with_the_last_message() -> None:
    assert director("").rule_for("chat", "m", "hello").answer == "{last}"


def test_a_rule_takes_the_scripts_answer_and_delays_where_it_says_nothing() -> None:
    rule = director("{answer: A, delay_ms: 5, token_delay_ms: 7, rules: [{match: x, status: 503}]}").rule_for(
        "chat", "m", "x"
    )
    assert (rule.answer, rule.delay_ms, rule.token_delay_ms, rule.status) == ("A", 5, 7, 503)


def test_a_rule_with_times_fits_so_often_and_then_never_again() -> None:
    script = director("rules: [{match: x, times: 2, answer: limited}]")
    answers = [script.rule_for("chat", "m", "x").answer for _ in range(3)]
    assert answers == ["limited", "limited", "{last}"]


def test_a_new_script_begins_its_counts_anew() -> None:
    text = "rules: [{times: 1, answer: limited}]"
    script = director(text)
    script.rule_for("chat", "m", "x")
    script.replace(parse(text))
    assert script.rule_for("chat", "m", "x").answer == "limited"


def test_a_rule_can_be_for_one_model_and_one_endpoint() -> None:
    script = director("rules: [{model: a, endpoint: embeddings, answer: fits}]")
    fits = [script.rule_for(e, m, "").answer == "fits" for e in ("chat", "embeddings") for m in ("a", "b")]
    assert fits == [False, False, True, False]


def test_a_pattern_searches_across_lines() -> None:
    assert director("rules: [{match: 'a.b', answer: fits}]").rule_for("chat", "m", "a\nb").answer == "fits"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rules: [{matches: x}]", "matches"),
        ("rules: [{match: '('}]", "regular expression"),
        ("rules: [{status: often}]", "status"),
        ("rules: [", "not YAML"),
        ("- a list", "cannot be used"),
        ("rules: [{tokens: [5, 2]}]", "from low to high"),
        ("rules: [{tokens: [1, 2, 3]}]", "tokens"),
        ("rules: [{tokens_per_s: 0}]", "tokens_per_s"),
        ("rules: [{tokens_per_s: .inf}]", "tokens_per_s"),
        ("rules: [{tokens_per_frame: 0}]", "tokens_per_frame"),
    ],
)
def test_a_script_that_cannot_be_used_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(text)


def test_json_is_a_script_too() -> None:
    assert parse('{"rules": [{"answer": "x"}]}') == Script(rules=[Rule(answer="x")])


def test_random_lengths_stay_in_their_range_and_are_the_same_for_the_same_seed() -> None:
    text = "{seed: 5, rules: [{tokens: [3, 9]}]}"
    drawn = [[director(text).rule_for("chat", "m", "x").tokens] for _ in range(2)]
    assert drawn[0] == drawn[1]
    script = director(text)
    lengths = {script.rule_for("chat", "m", "x").tokens for _ in range(100)}
    assert lengths == set(range(3, 10))

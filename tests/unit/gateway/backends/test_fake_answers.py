from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.fake_answers import Answer, chat_prompt, decide, sample, texts, vector, whole_number
from gateway.backends.fake_script import Rule, ScriptedCall
from gateway.backends.fake_tokens import token_id, tokenise
from gateway.errors import InvalidRequest

ECHO = Rule(answer="{last}")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}}}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("weather", "news")]


def answer(rule: Rule = ECHO, last: str = "one two three four", **request: Any) -> Answer:
    return decide(request, rule, last)


def test_the_answer_is_an_echo_unless_a_rule_says_otherwise() -> None:
    assert answer().text == "one two three four"
    assert answer(Rule(answer="fixed")).text == "fixed"
    assert answer(Rule(answer="{words} words")).text == "4 words"


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_an_answer_longer_than_the_limit_is_cut_and_says_length(field: str) -> None:
    cut = decide({field: 2}, ECHO, "one two three four")
    assert (cut.text, cut.finish_reason, cut.count) == ("one two ", "length", 2)


def test_an_answer_as_long_as_the_limit_says_stop() -> None:
    assert answer(max_tokens=5).finish_reason == "stop"


def test_ignore_eos_repeats_the_answer_up_to_the_limit() -> None:
    long = answer(max_tokens=50, ignore_eos=True)
    assert (long.count, long.finish_reason) == (50, "length")


def test_a_rule_sets_the_exact_number_of_tokens() -> None:
    assert answer(Rule(answer="ab", tokens=7)).count == 7


@pytest.mark.parametrize("stop", ["two", ["never", "two", "three"]])
def test_the_answer_ends_before_the_earliest_stop_word(stop: object) -> None:
    ended = answer(stop=stop)
    assert (ended.text, ended.finish_reason) == ("one ", "stop")


def test_reasoning_uses_up_the_limit_first() -> None:
    cut = answer(Rule(answer="{last}", reasoning="thinking"), max_tokens=3)
    assert ("".join(cut.reasoning), cut.text, cut.count) == ("thinking", "one ", 3)


def test_scripted_tool_calls_are_the_answer() -> None:
    called = answer(Rule(tool_calls=[ScriptedCall("f", {"a": 1}), ScriptedCall("g", "not json")]))
    assert called.tool_calls == [("f", '{"a":1}'), ("g", "not json")]
    assert (called.text, called.finish_reason) == ("", "tool_calls")


def test_a_required_tool_is_called_with_arguments_that_fit_its_schema() -> None:
    assert answer(tools=TOOLS, tool_choice="required").tool_calls == [("weather", '{"city":"a","days":3}')]
    named = {"type": "function", "function": {"name": "news"}}
    assert answer(tools=TOOLS, tool_choice=named).tool_calls[0][0] == "news"
    assert answer(tools=TOOLS).tool_calls == []


def test_a_tool_that_is_not_there_cannot_be_chosen() -> None:
    with pytest.raises(InvalidRequest):
        answer(tools=TOOLS, tool_choice={"function": {"name": "other"}})
    with pytest.raises(InvalidRequest):
        answer(tool_choice="required")


def test_a_response_format_is_honoured_by_an_echo_and_left_to_the_rule_otherwise() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
    assert answer(response_format=form).text == '{"city":"a","days":3}'
    assert answer(response_format={"type": "json_object"}).text == "{}"
    assert answer(Rule(answer="no json"), response_format=form).text == "no json"


def test_the_last_scripted_log_probability_goes_on() -> None:
    assert answer(Rule(answer="{last}", logprobs=[-1, -2])).logprobs == [-1, -2, -2, -2, -2]


@given(st.lists(st.sampled_from(["short", "a longer text ", "ü" * 9]), min_size=1), st.integers(1, 4))
def test_a_longer_conversations_prompt_begins_with_the_shorter_ones(contents: list[str], more: int) -> None:
    messages = [{"role": "user", "content": text} for text in [*contents, *(["more"] * more)]]
    long, short = chat_prompt({"messages": messages})[0], chat_prompt({"messages": messages[: len(contents)]})[0]
    assert long.startswith(short)
    whole = len(tokenise(short)) - 1  # its last token may hold what follows
    assert tokenise(long)[:whole] == tokenise(short)[:whole]


def test_content_parts_are_read_and_an_image_counts_as_its_digest() -> None:
    parts = [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "data:…"}}]
    prompt, last = chat_prompt({"messages": [{"role": "user", "content": parts}]})
    assert last.startswith("look\n<")
    assert "data:" not in prompt


@pytest.mark.parametrize("messages", [None, [], "text", [1], [{"content": "x"}], [{"role": "user", "content": 3}]])
def test_messages_that_are_none_are_refused(messages: object) -> None:
    with pytest.raises(InvalidRequest):
        chat_prompt({"messages": messages})


def test_every_form_of_input_becomes_texts() -> None:
    ids = [token_id("ab"), token_id("c")]
    assert texts("x", "input") == ["x"]
    assert texts(["x", "y"], "input") == ["x", "y"]
    assert texts(ids, "input") == ["abc"]
    assert texts([ids, ids[:1]], "input") == ["abc", "ab"]
    bad: object
    for bad in (None, [], {}, [[]], ["x", 1], [[1, "x"]], 7):
        with pytest.raises(InvalidRequest):
            texts(bad, "input")


@pytest.mark.parametrize("value", ["2", 2.0, True, 0, 9])
def test_a_number_out_of_range_or_of_another_type_is_refused_by_its_name(value: object) -> None:
    with pytest.raises(InvalidRequest) as error:
        whole_number({"n": value}, "n", 1, 1, 8)
    assert error.value.param == "n"


def test_a_sample_fits_references_and_choices_and_ends_on_a_circle() -> None:
    circle: dict[str, Any] = {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert sample(circle, circle) is None
    schema = {
        "$defs": {"e": {"enum": ["red"]}},
        "anyOf": [{"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/e"}}],
    }
    assert sample(schema, schema) == ["red", "red"]
    assert sample({"type": ["boolean", "null"]}, {}) is False


def test_texts_that_share_words_have_near_vectors_of_length_one() -> None:
    a, b, c = (vector(text, 64) for text in ("the red cat", "the red dog", "quarterly revenue grew"))
    near, far = (sum(x * y for x, y in zip(a, other, strict=True)) for other in (b, c))
    assert math.isclose(sum(x * x for x in a), 1.0)
    assert near > far

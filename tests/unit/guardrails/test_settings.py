from typing import Any

import pytest

from guardrails.chain import ChainError, OnFailure
from guardrails.check import Sight
from guardrails.screen import Screen
from guardrails.settings import chain_of
from guardrails.verdict import Action, Phase

MASK: dict[str, Any] = {"check": "secrets", "phase": ["input", "output"], "action": "mask"}
ASK: dict[str, Any] = {"check": "injection", "phase": "input", "action": "block"}
SCHEMA: dict[str, Any] = {"check": "schema", "phase": "output", "action": "block", "schema": {"type": "object"}}
TOOLS: dict[str, Any] = {"check": "tools", "phase": "tool_call", "allow": ["search"]}


def test_a_chain_is_what_was_written() -> None:
    entries = [
        MASK,
        {
            "check": "pii",
            "phase": "input",
            "action": "mask_reversible",
            "entities": ["URL"],
            "custom": {"ID": r"ID\d+"},
        },
        {
            **ASK,
            "threshold": 0.9,
            "deadline_ms": 200,
            "max_chars": 9_000,
            "beyond": "refuse",
            "on_failure": "fail_open",
        },
        {"check": "toxicity", "phase": "output", "action": "block", "mode": "observe"},
        TOOLS,
    ]
    made = chain_of("standard", entries)
    assert [link.check.name for link in made.links] == ["secrets", "pii", "injection", "toxicity"]
    asked = made.links[2]
    assert (asked.action, asked.on_failure, asked.deadline_ms) == (Action.BLOCK, OnFailure.OPEN, 200)
    assert (asked.enforced, made.links[3].enforced) == (True, False)
    assert made.tools is not None
    assert made.tools.refused_offers(["search", "rm"]) == ["rm"]
    screen = Screen(made.rows(Phase.OUTPUT))
    assert screen.feed("ID1") + screen.finish() == "ID1"


def test_a_list_of_tools_may_be_observed_beside_one_that_is_enforced() -> None:
    stricter = {**TOOLS, "allow": ["get_*"], "mode": "observe"}
    made = chain_of("mine", [TOOLS, stricter])
    assert made.tools is not None
    assert made.watched_tools is not None
    assert made.tools.refused_offers(["search"]) == []
    assert made.watched_tools.refused_offers(["search"]) == ["search"]
    with pytest.raises(ChainError, match=r"chains.mine\[2\] \(tools\): a second list of tools"):
        chain_of("mine", [TOOLS, stricter, stricter])


def test_personal_data_with_and_without_a_form_are_two_links_of_one_entry() -> None:
    entry = {"check": "pii", "phase": "input", "action": "mask", "entities": ["URL", "PERSON"], "deadline_ms": 50}
    made = chain_of("mine", [TOOLS, entry, ASK])
    patterns, names, _ = made.links
    assert (patterns.check.sight, patterns.deadline_ms) == (Sight.PATTERN, None)
    assert (names.check.sight, names.deadline_ms) == (Sight.SEGMENT, 50)
    assert [link.entry for link in made.links] == [1, 1, 2]
    assert made.sight(Phase.INPUT) is Sight.WHOLE
    with pytest.raises(ChainError, match=r"chains.mine\[2\] \(injection\): .* is over before it begins"):
        chain_of("mine", [TOOLS, entry, {**ASK, "deadline_ms": -1}])


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"phase": "input"}, r"chains.mine\[0\]: names no check; one of injection, "),
        ({**MASK, "check": "secret"}, "'secret' is none of .*; do you mean secrets?"),
        ({**MASK, "actoin": "mask"}, r"chains.mine\[0\] \(secrets\): actoin: unknown here.*do you mean action?"),
        ({**MASK, "action": "hide"}, "action: 'hide' is none of allow, annotate"),
        ({"check": "secrets", "phase": "input"}, "has no action"),
        ({"check": "secrets", "action": "mask"}, "has no phase"),
        ({**MASK, "phase": ["inptu"]}, "phase: 'inptu' is none of .*do you mean input"),
        ({**MASK, "mode": "off"}, "mode: 'off' is none of enforce, observe"),
        ({**MASK, "deadline_ms": 5}, "nobody is asked"),
        ({**ASK, "deadline_ms": "5"}, "a whole number"),
        ({**ASK, "threshold": "high"}, "threshold: a number from 0 to 1 is wanted"),
        ({**ASK, "threshold": 0}, "all or nothing"),
        ({**ASK, "beyond": "head"}, "beyond: 'head' is none of head_and_tail, segments, refuse"),
        ({**ASK, "action": "mask"}, "no part to mask"),
        ({"check": "length", "phase": "input", "action": "block"}, "max_chars is missing; a whole number above 0"),
        ({"check": "keywords", "phase": "input", "action": "block", "words": "x"}, "words: a list of words"),
        ({"check": "regex", "phase": "input", "action": "block", "patterns": {"A": "a*?b"}}, "A: .*lazy"),
        (
            {"check": "pii", "phase": "input", "action": "mask", "entities": ["MAIL"]},
            r"pii\): entities: there is no MAIL",
        ),
        ({**SCHEMA, "phase": "input"}, "phase: input holds none of what this judges; output"),
        ({**SCHEMA, "schema": "object"}, "schema: a JSON Schema is wanted"),
        ({**SCHEMA, "schema": {"type": "objekt"}}, r"chains.mine\[0\] \(schema\): schema: type: "),
        ({**SCHEMA, "action": "mask"}, "no part to mask"),
        ({**TOOLS, "arguments": {"search": []}}, "arguments: a map from a tool to the JSON Schema"),
        ({"check": "pii", "phase": "input", "action": "mask", "deadline_ms": 50}, "nobody is asked"),
        ({**TOOLS, "phase": "input"}, "judged when they are called"),
        ({**TOOLS, "action": "mask"}, "action: a call is allowed or refused"),
        ({**TOOLS, "mode": "off"}, "mode: 'off' is none of enforce, observe"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_names_its_place(entry: dict[str, Any], problem: str) -> None:
    with pytest.raises(ChainError, match=problem):
        chain_of("mine", [entry])


def test_the_mistakes_of_all_entries_are_known() -> None:
    with pytest.raises(ChainError) as caught:
        chain_of("mine", [{**MASK, "action": "hide"}, MASK, {"check": "pii"}, {**ASK, "threshold": 0}])
    error = caught.value
    assert [each.place for each in (error, *error.others)] == [(0, "action"), (2,), (3, "injection")]
    assert error.told.startswith("'hide' is none of allow")
    assert error.others[0].told == "has no action; one of allow, annotate, mask, mask_reversible, block"


def test_two_lists_of_tools_are_refused() -> None:
    with pytest.raises(ChainError, match=r"\[1\] \(tools\): a second list"):
        chain_of("mine", [TOOLS, TOOLS])

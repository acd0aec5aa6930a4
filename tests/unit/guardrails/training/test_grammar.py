"""Texts made of templates."""

from __future__ import annotations

import numpy as np

from guardrails.training.grammar import parse
from guardrails.training.sources import grammars

GRAMMAR = parse(
    '# remark\n@fruit\nan apple\na {ripe|green} pear\n\n== train\nEat {fruit}!\n{"n": 1}\n== held\nTake {a|b}.\n'
)


def test_slots_and_choices_are_filled_in() -> None:
    random = np.random.default_rng(0)
    made = {GRAMMAR.expand("Eat {fruit}!", random) for _ in range(50)}
    assert made == {"Eat an apple!", "Eat a ripe pear!", "Eat a green pear!"}


def test_braces_that_are_no_slot_stay() -> None:
    assert GRAMMAR.expand('{"n": 1}', np.random.default_rng(0)) == '{"n": 1}'


def test_templates_come_in_turn_and_the_same_seed_gives_the_same_texts() -> None:
    first, second = (GRAMMAR.sample("train", 4, np.random.default_rng(3)) for _ in range(2))
    assert first == second
    assert [template for template, _ in first] == ["Eat {fruit}!", '{"n": 1}'] * 2


def test_templates_that_are_only_reported_on_are_not_trained_on() -> None:
    for grammar in grammars().values():
        for section in grammar.sections:
            if section.endswith("held"):
                assert not set(grammar.sections[section]) & set(grammar.sections[section.replace("held", "train")])

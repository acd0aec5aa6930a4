"""The texts this project wrote itself."""

from __future__ import annotations

from guardrails.training import made
from guardrails.training.sources import grammars


def test_the_same_seed_gives_the_same_texts_and_both_labels_of_each_carrier() -> None:
    texts = made.made(grammars(), "held", 1, 2)
    assert texts == made.made(grammars(), "held", 1, 2)
    kinds = {(text.kind, text.label) for text in texts}
    assert kinds == {("trigger", 0), ("direct", 1), ("hidden", 1), ("document", 0)}
    hidden, clean = ([text for text in texts if text.kind == kind] for kind in ("hidden", "document"))
    assert len(hidden) == len(clean)


def test_no_slot_is_left_open() -> None:
    known = {f"{{{slot}}}" for grammar in grammars().values() for slot in grammar.slots}
    texts = [*made.made(grammars(), "train", 1, 1), *made.claims(grammars(), 1, 1)]
    assert not [text.text for text in texts if any(slot in text.text for slot in known)]


def test_claims_are_hostile_or_fair() -> None:
    assert {text.label for text in made.claims(grammars(), 1, 1)} == {0, 1}

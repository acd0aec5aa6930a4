"""Near-duplicates are of one group."""

from __future__ import annotations

from guardrails.training.groups import grouped

LONG = " ".join(f"word{n}" for n in range(60))


def test_texts_that_share_most_of_their_words_are_one_group() -> None:
    a, b, c = grouped(
        [LONG, LONG.replace("word30 ", "other ") + " and an end", "something else entirely, of other words"]
    )
    assert a == b != c


def test_a_chain_of_duplicates_is_one_group_and_so_are_known_ones() -> None:
    words = LONG.split()
    chain = [" ".join(words[start : start + 40]) for start in (0, 8, 16)]
    assert len(set(grouped(chain))) == 1
    assert len(set(grouped(["one text", "another text"], ["template", "template"]))) == 1
    assert len(set(grouped(["one text", "another text"], ["", ""]))) == 2


def test_what_was_made_apart_stays_apart() -> None:
    assert len(set(grouped([LONG, LONG], ["one", "another"]))) == 2
    assert len(set(grouped([LONG, LONG], ["one", ""]))) == 1

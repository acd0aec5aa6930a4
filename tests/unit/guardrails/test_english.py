import codecs

import pytest

from guardrails.english import likeness, with_i

WORDS = ["please", "tell", "me", "about", "your", "holidays"]


def test_english_is_likelier_than_its_rotation() -> None:
    assert likeness(WORDS) > 4.5 > likeness([codecs.encode(word, "rot13") for word in WORDS]) + 0.8


def test_the_case_does_not_matter_and_what_is_no_letter_counts_for_nothing() -> None:
    assert likeness(["HELLO"]) == likeness(["hello"])
    assert likeness(["你好"]) == 0 == likeness([])


@pytest.mark.parametrize(("leet", "word"), [("gu1de11nes", "guidelines"), ("EMA1L", "email"), ("1", "i")])
def test_a_common_word_is_known_with_its_i(leet: str, word: str) -> None:
    assert with_i(leet) == word


@pytest.mark.parametrize("leet", ["te11", "guldel1nes", "x1"])
def test_what_pairs_of_letters_tell_or_is_spelled_otherwise_is_left_to_them(leet: str) -> None:
    assert with_i(leet) is None

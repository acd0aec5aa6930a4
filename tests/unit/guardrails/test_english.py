import codecs

from guardrails.english import likeness

WORDS = ["please", "tell", "me", "about", "your", "holidays"]


def test_english_is_likelier_than_its_rotation() -> None:
    assert likeness(WORDS) > 4.5 > likeness([codecs.encode(word, "rot13") for word in WORDS]) + 0.8


def test_the_case_does_not_matter_and_what_is_no_letter_counts_for_nothing() -> None:
    assert likeness(["HELLO"]) == likeness(["hello"])
    assert likeness(["你好"]) == 0 == likeness([])

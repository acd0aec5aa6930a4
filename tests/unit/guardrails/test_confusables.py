import unicodedata

from guardrails.confusables import LOOKALIKES, ROUGH_LOOKALIKES


def test_each_lookalike_stands_for_one_letter_and_is_none_itself() -> None:
    everything = "".join([*LOOKALIKES.values(), *ROUGH_LOOKALIKES.values()])
    assert len(set(everything)) == len(everything)
    assert not any(map(str.isascii, everything))
    assert all(len(letter) == 1 and letter.isascii() and letter.isalpha() for letter in LOOKALIKES)


def test_what_normalisation_changes_is_left_to_it() -> None:
    assert [each for each in "".join(LOOKALIKES.values()) if unicodedata.normalize("NFKC", each) != each] == []


def test_the_usual_imitations_are_known() -> None:
    for letter, imitations in {"a": "аα", "e": "е", "o": "оο", "I": "ІΙ", "A": "АΑ", "s": "ѕꜱ", "p": "рρ"}.items():
        assert set(imitations) <= set(LOOKALIKES[letter])

import pytest

from guardrails.characters import FOLDS, fold, is_invisible, plain


@pytest.mark.parametrize("character", "\u200b\u200d\u00ad\ufeff\u202e\u2066\ufe0f\U000e0041\U000e0101\u3164\x00\x7f")
def test_what_takes_no_room_is_invisible(character: str) -> None:
    assert is_invisible(character)
    assert plain(character) == ""


@pytest.mark.parametrize("character", "a \n\té你😀٣")
def test_what_is_read_or_parts_words_is_not_invisible(character: str) -> None:
    assert not is_invisible(character)


def test_compatibility_forms_digits_and_signs_are_read_as_ascii() -> None:
    assert [plain(each) for each in ("Ａ", "ﬁ", "①", "٣", "７", "—", "“", "\u00a0")] == [
        *"A",
        "fi",
        *"137",
        "-",
        '"',
        " ",
    ]


def test_folding_reads_lookalikes_as_latin_and_leaves_the_rest() -> None:
    assert fold("ignоrе") == "ignore"  # о and е are Cyrillic
    assert fold("жизнь 你好 é\n") == "жuзhb 你好 é\n"
    assert fold("a\u200bb\x00c") == "abc"


def test_folding_is_the_same_however_a_text_is_cut() -> None:
    text = "e\u0301 ａ\u200bдо\ud800😀"
    assert "".join(map(fold, text)) == fold(text)


def test_the_memory_of_folds_has_an_end() -> None:
    for code in range(0x80, 0x8000):
        fold(chr(code))
    assert len(FOLDS) <= 20_000
    assert fold(chr(0x7FFF)) == chr(0x7FFF)

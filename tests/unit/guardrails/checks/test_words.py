import pytest

from guardrails.checks.words import keywords, regex
from tests.support.finding import found


def test_keywords_are_whole_words_in_any_case_however_they_are_spaced() -> None:
    check = keywords(["Project  Falcon", "c++"])
    assert found(check, "project\n falcon, C++ and PROJECT FALCON") == [
        *(("keyword", "project\n falcon"), ("keyword", "C++"), ("keyword", "PROJECT FALCON"))
    ]
    assert found(check, "projects falcon, project falcons, c+") == []


def test_words_of_other_scripts_are_found_in_any_case_and_as_they_look() -> None:
    check = keywords(["Сокол", "naïve", "ﬁle"])
    assert found(check, "сокол СОКОЛ NAÏVE file naive") == [
        ("keyword", word) for word in ["сокол", "СОКОЛ", "NAÏVE", "file"]
    ]


def test_of_words_that_begin_alike_the_longest_is_found_however_many_they_are() -> None:
    words = [f"{first}{second}{'x' * number}" for first in "abcd" for second in "efgh" for number in range(40)]
    check = keywords(words)
    assert len(check.rules) < 30
    assert found(check, " ".join(words)) == [("keyword", word) for word in words]
    assert found(check, f"be{'x' * 40} zae aez be-ae") == [("keyword", "be"), ("keyword", "ae")]


def test_patterns_are_found_by_their_codes() -> None:
    assert found(regex({"TICKET": r"\bT-\d+"}), "see T-12 and T-7.") == [("TICKET", "T-12"), ("TICKET", "T-7")]


def test_what_is_blank_or_would_explode_is_refused() -> None:
    with pytest.raises(ValueError, match="blank"):
        keywords([" "])
    with pytest.raises(ValueError, match=r"BAD: .*lazy"):
        regex({"BAD": "a.*?b"})
    with pytest.raises(ValueError, match=r"BAD: .*states"):
        regex({"BAD": "(a|b)*a(a|b){14}"})

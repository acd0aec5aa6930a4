import pytest

from guardrails.checks.words import keywords, regex
from tests.support.finding import found


def test_keywords_are_whole_words_in_any_case_however_they_are_spaced() -> None:
    check = keywords(["Project  Falcon", "c++"])
    assert found(check, "project\n falcon, C++ and PROJECT FALCON") == [
        *(("keyword", "project\n falcon"), ("keyword", "C++"), ("keyword", "PROJECT FALCON"))
    ]
    assert found(check, "projects falcon, project falcons, c+") == []


def test_patterns_are_found_by_their_codes() -> None:
    assert found(regex({"TICKET": r"\bT-\d+"}), "see T-12 and T-7.") == [("TICKET", "T-12"), ("TICKET", "T-7")]


def test_what_is_blank_or_would_explode_is_refused() -> None:
    with pytest.raises(ValueError, match="blank"):
        keywords([" "])
    with pytest.raises(ValueError, match=r"BAD: .*lazy"):
        regex({"BAD": "a.*?b"})
    with pytest.raises(ValueError, match=r"BAD: .*states"):
        regex({"BAD": "(a|b)*a(a|b){14}"})

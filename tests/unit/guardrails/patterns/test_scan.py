import pytest

from guardrails.patterns.automaton import Automaton
from guardrails.patterns.scan import CONTEXT, Match, Scan


def _found(text: str, *patterns: str) -> list[Match]:
    scan = Scan(Automaton(patterns))
    return sorted(scan.feed(text) + scan.finish())


def test_the_longest_match_of_a_place_counts() -> None:
    assert _found("abccd", "ab(?:c*d)?") == [(0, 0, 5)]
    assert _found("abcc", "ab(?:c*d)?") == [(0, 0, 2)]
    assert _found("ab", "a", "ab") == [(0, 0, 1), (1, 0, 2)]


def test_each_pattern_finds_its_own() -> None:
    assert _found("x foo bar", r"\bfoo\b", r"foo bar", r"\bbar$") == [(0, 2, 5), (1, 2, 9), (2, 6, 9)]


@pytest.mark.parametrize(
    ("pattern", "text", "places"),
    [
        (r"\bab\b", "ab cab abc ab", [(0, 2), (11, 13)]),
        (r"(?<!\d)\d{2}(?!\d)", "12 123 45", [(0, 2), (7, 9)]),
        (r"^a|b$", "aab", [(0, 1), (2, 3)]),
        (r"(?m)^a$", "a\nb\na", [(0, 1), (4, 5)]),
        (r"a\Bb", "ab a b", [(0, 2)]),
        (r"(?<=x)y", "xy y", [(1, 2)]),
        (r"a(?=[bc])", "ab ac ad a", [(0, 1), (3, 4)]),
    ],
)
def test_places_are_looked_at_with_what_is_beside_them(pattern: str, text: str, places: list[tuple[int, int]]) -> None:
    assert [tuple(place) for _, *place in _found(text, pattern)] == places


def test_a_match_is_open_until_it_cannot_grow_and_settled_says_from_where() -> None:
    scan = Scan(Automaton([r"\b\w+@\w+(?:\.\w+)*"]))
    assert scan.feed("to joe@x") == []
    assert scan.settled == 3
    assert scan.feed(".org") == []
    assert scan.settled == 3
    assert scan.feed(". ") == [(0, 3, 12)]
    assert scan.settled == scan.at == 14


def test_a_word_that_cannot_match_any_more_is_let_go_at_once() -> None:
    scan = Scan(Automaton([r"\b\w+@\w+"]))
    scan.feed("hello")
    assert scan.settled == 0
    scan.feed(" ")
    assert scan.settled == 6


def test_characters_are_matched_as_they_are_seen_and_placed_as_they_came() -> None:
    assert _found("t\u200bо ｊое@x", r"to", r"joe@x") == [(0, 0, 3), (1, 4, 9)]


def test_a_judge_sees_the_match_and_what_is_before_and_takes_the_longest_that_counts() -> None:
    shown: list[tuple[str, str]] = []

    def judge(_: int, match: str, before: str) -> bool:
        shown.append((match, before))
        return match == "12"

    judged = frozenset({0})
    scan = Scan(Automaton([r"(?<!\d)\d{1,4}"], judged), judge, judged)
    found = scan.feed("x" * 100)
    found += scan.feed("no. 1")
    found += scan.feed("234 ")
    assert found == [(0, 104, 106)]
    assert shown == [(digits, ("x" * CONTEXT + "no. ")[-CONTEXT:]) for digits in ("1234", "123", "12")]


def test_time_grows_with_the_text_whatever_the_pattern() -> None:
    assert _found("a" * 100_000, "(?:a+)+b", "(?:a|aa)+$")[0] == (1, 0, 100_000)  # exponential in other engines


def test_words_that_tell_nothing_are_leapt_over_and_nothing_is_missed() -> None:
    text = "plain words and more of them, then joe@x.org and so on, and at the end 12.5\nand mary@y"
    assert _found(text, r"\b\w+@[\w.]*\w", r"\d+\.\d+") == [(0, 35, 44), (0, 80, 86), (1, 71, 75)]

import re

import pytest

from guardrails.patterns.syntax import PatternError, Set, longest, parse, shortest


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        (r"(a)\1", "back-reference"),
        ("a*?", "longest match counts"),
        ("a++", "possessive"),
        ("(?=ab)c", "sees one character"),
        ("(?=a|b)c", r"write a set"),
        ("(?>a)", "kind of group"),
        ("(a", "without its )"),
        ("a)", "without its ("),
        ("[a", "without its ]"),
        ("[b-a]", "range that ends before"),
        ("a{3,2}", "repetition that ends before"),
        ("a{1001}", "more than 1000"),
        ("*a", "repeats nothing"),
        (r"\b+", "place cannot be repeated"),
        (r"\q", "escape unknown"),
        (r"\x4", "hexadecimal"),
        ("(?iq)a", "flags"),
    ],
)
def test_what_is_not_matched_here_is_an_error_that_says_where_and_why(pattern: str, problem: str) -> None:
    with pytest.raises(PatternError, match=f"{re.escape(problem)}.*at character"):
        parse(pattern)


@pytest.mark.parametrize(
    ("pattern", "least", "most"), [("ab?", 1, 2), ("a{2,5}|bcd", 2, 5), (r"\ba+$", 1, None), ("", 0, 0)]
)
def test_the_lengths_of_matches_are_known(pattern: str, least: int, most: int | None) -> None:
    assert (shortest(parse(pattern)), longest(parse(pattern))) == (least, most)


@pytest.mark.parametrize(
    "pattern", ["a", ".", "[a-c]", "[^a-c]", r"\d", r"\W", r"[\s_]", "(?i)q", r"\x41", r"\u0041", "[]a]", r"\.", "[-a]"]
)
def test_a_set_holds_what_it_holds_in_python(pattern: str) -> None:
    tree = parse(pattern)
    assert isinstance(tree, Set)
    for character in "aAbqQcd.0_ \n-]é你":
        assert tree.holds(character) is (re.fullmatch(pattern, character) is not None), character


def test_braces_that_count_nothing_are_characters() -> None:
    assert longest(parse("a{b}")) == 4

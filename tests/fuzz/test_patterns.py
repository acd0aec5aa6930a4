"""Patterns against a plain backtracking matcher of the same tree, and against themselves with the text cut anywhere."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from guardrails.patterns.automaton import Automaton
from guardrails.patterns.scan import Match, Scan
from guardrails.patterns.syntax import Choice, Look, PatternError, Repeat, Sequence, Set, Tree, is_word, parse, shortest


def _is_one(pattern: str) -> bool:
    try:
        return shortest(parse(pattern)) > 0
    except PatternError:  # a place repeated
        return False


ATOMS = st.sampled_from(["a", "b", "[ab]", ".", r"\d", r"\w", "1", " ", "@", "[^a]"])
PLACES = st.sampled_from([r"\b", r"\B", "^", "$", "(?=a)", "(?!1)", "(?<!a)", "(?<=[b1])"])
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner | PLACES, min_size=1, max_size=3).map("".join),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}"])).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
    ),
    max_leaves=6,
).filter(_is_one)
TEXTS = st.text("ab1 @\n", max_size=12)


def _ends(tree: Tree, text: str, at: int) -> set[int]:
    """Where matches of a tree that begin at a place may end."""
    if isinstance(tree, Set):
        return {at + 1} if at < len(text) and tree.holds(text[at]) else set()
    if isinstance(tree, Look):
        return {at} if _looks(tree, text[at - 1 : at] if at else "", text[at : at + 1]) is tree.wanted else set()
    if isinstance(tree, Choice):
        return {end for part in tree.parts for end in _ends(part, text, at)}
    if isinstance(tree, Sequence):
        reached = {at}
        for part in tree.parts:
            reached = {end for begin in reached for end in _ends(part, text, begin)}
        return reached
    assert isinstance(tree, Repeat)
    reached, found = {at}, {at} if tree.least == 0 else set()
    for count in range(1, (len(text) + 1 if tree.most is None else tree.most) + 1):
        reached = {end for begin in reached for end in _ends(tree.part, text, begin)}
        found |= reached if count >= tree.least else set()
    return found


def _looks(look: Look, before: str, after: str) -> bool:
    if look.side in ("ahead", "behind"):
        beside = after if look.side == "ahead" else before
        return beside != "" and look.set is not None and look.set.holds(beside)
    if look.side == "word":
        return (before != "" and is_word(before)) is not (after != "" and is_word(after))
    return (before if look.side == "start" else after) == ""


def _covered(found: list[Match], number: int) -> set[int]:
    return {at for each, start, end in found if each == number for at in range(start, end)}


def _scanned(patterns: list[str], pieces: list[str]) -> list[Match]:
    scan = Scan(Automaton(patterns))
    return [match for piece in pieces for match in scan.feed(piece)] + scan.finish()


@given(st.lists(PATTERNS, min_size=1, max_size=3), TEXTS)
def test_what_is_found_is_the_longest_match_of_each_place(patterns: list[str], text: str) -> None:
    found = _scanned(patterns, [text])
    for number, pattern in enumerate(patterns):
        tree = parse(pattern)
        wanted: set[int] = set()
        for at in range(len(text)):
            wanted |= set(range(at, max(_ends(tree, text, at), default=at)))
        assert _covered(found, number) == wanted, pattern


@given(
    st.lists(PATTERNS, min_size=1, max_size=3),
    st.lists(TEXTS | st.just("words and words that go on and on until here ")),
)
def test_what_is_found_does_not_depend_on_the_pieces(patterns: list[str], pieces: list[str]) -> None:
    whole = _scanned(patterns, ["".join(pieces)])
    assert _scanned(patterns, pieces) == whole
    assert _scanned(patterns, list("".join(pieces))) == whole

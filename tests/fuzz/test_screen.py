"""A chain over a text that is cut anywhere, with answers that come in any order: what is delivered is always the
same, and no character of a masked or blocked part is ever delivered.
"""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.chain import Chain, Link, Row
from guardrails.check import Sight
from guardrails.checks.asked import AskedCheck
from guardrails.checks.patterned import PatternCheck, Rule
from guardrails.screen import Call, Screen
from guardrails.verdict import Action, Phase

OUTPUT = frozenset({Phase.OUTPUT})
LINKS = [
    Link(
        PatternCheck(
            "pii",
            [
                Rule("EMAIL", r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*"),
                Rule("NUMBER", r"(?<!\d)\d(?:[ -]?\d){3,7}(?!\d)", 1.0, lambda match, _: match[-1] in "02468"),
            ],
        ),
        OUTPUT,
        Action.MASK,
    ),
    Link(
        PatternCheck("words", [Rule("STOP", r"\bstop(?: now)?\b"), Rule("LONG", "x@(?:yx@)*y")]), OUTPUT, Action.BLOCK
    ),
    Link(AskedCheck("bad", "classifier", "bad", "bad", sight=Sight.SEGMENT), OUTPUT, Action.BLOCK),
]
ROWS = Chain("all", tuple(LINKS)).rows(Phase.OUTPUT)
PATTERNS = Chain("patterns", tuple(LINKS[:2])).rows(Phase.OUTPUT)
PIECES = st.sampled_from(
    [
        *(
            "joe@x.org",
            "joe",
            "@",
            ".org ",
            "12 34",
            "1234",
            " 5 ",
            "stop",
            " now",
            "stopping ",
            "😀",
            "\ud83d",
            "\ude00",
            "x@yx@y",
        ),
        *(
            "\u200b",
            "é",
            "ｊoe＠x ",
            "A sentence that goes on for a while, until it has an end at last. ",
            "\n",
            "BAD ",
            "x" * 50,
            " ",
        ),
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


def _run(pieces: list[str], rows: Sequence[Row], backwards: bool = False) -> tuple[str, bool]:
    screen = Screen(rows)
    calls: list[Call] = []
    out = []
    for piece in pieces:
        out.append(screen.feed(piece))
        calls += screen.calls()
        if not backwards:
            out += [screen.answer(call, _score(call)) for call in calls]
            calls = []
    out.append(screen.finish())
    calls += screen.calls()
    out += [screen.answer(call, _score(call)) for call in (reversed(calls) if backwards else calls)]
    return "".join(out), screen.blocked


def _score(call: Call) -> float:
    return 1.0 if "BAD" in call.need.text else 0.0


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_every_cut_in_two_delivers_the_same(text: str) -> None:
    whole = _run([text], ROWS)
    for at in range(len(text) + 1):
        assert _run([text[:at], text[at:]], ROWS) == whole


@given(TEXTS, st.lists(st.integers(1, 9), min_size=1), st.booleans())
@settings(deadline=None)
def test_any_pieces_and_any_order_of_answers_deliver_the_same(text: str, sizes: list[int], backwards: bool) -> None:
    pieces: list[str] = []
    at = 0
    while at < len(text):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    assert _run(pieces, ROWS, backwards) == _run([text], ROWS)


@given(TEXTS)
@settings(deadline=None)
def test_no_character_of_a_part_that_was_found_is_delivered(text: str) -> None:
    """Masks are empty here, so what is delivered is what is left of the text: nothing else of it."""
    screen = Screen(PATTERNS, lambda *_: "")
    out = screen.feed(text) + screen.finish()
    kept = set(range(len(text)))
    for ruling in screen.verdict().rulings:
        end = len(text) if ruling.action is Action.BLOCK else ruling.finding.end
        kept -= set(range(ruling.finding.start, end))
    assert out == "".join(text[at] for at in sorted(kept))

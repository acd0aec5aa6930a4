"""Recognisers from a configuration, with contexts, lists of words and an allow list, over texts that are cut anywhere:
what is delivered and what is found is the same as for the whole.
"""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.screen import Screen
from guardrails.settings import chain_of
from guardrails.verdict import Finding, Phase

CUSTOM = {
    "STAFF": {
        "patterns": [r"\b\d{4}\b", {"regex": r"\bS-\d+\b", "score": 0.9}],
        "score": 0.1,
        "context": ["staff", "Nr."],
    },
    "PROJECT": {"deny_list": ["falcon", "falcon two", "Blue Heron", "сокол"]},
    "WEAK": {"deny_list": ["mercury rising"], "score": 0.05, "context": ["project"]},
}
ENTRY = {
    "check": "pii",
    "phase": "output",
    "action": "mask",
    "entities": ["EMAIL_ADDRESS", "PERSON"],
    "custom": CUSTOM,
    "allow_list": ["joe@x.org", "1234", "blue heron", "Ada"],
}
ROWS = chain_of("mine", [ENTRY]).rows(Phase.OUTPUT)
PIECES = st.sampled_from(
    [
        *("staff ", "Staff\u200b", "nr. ", "overstaff ", "1234", "4321", "S-12", " ", "  ", "\n", "x" * 30, " " * 40),
        *("falcon", " two", "FALCON Two", "blue", " heron", "СОКОЛ ", "project ", "mercury", " rising"),
        *("joe@x.org", "ann@x.org", "Joe@", "Ada ", "Bob ", "é", "😀", "\ud83d", "\ude00"),
        "A sentence that goes on for a while, until it has an end at last. ",
    ]
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


def _run(pieces: list[str]) -> tuple[str, list[Finding]]:
    screen = Screen(ROWS)
    out = []
    for piece in [*pieces, None]:
        out.append(screen.finish() if piece is None else screen.feed(piece))
        out += [screen.answer(call, _names(call.need.text)) for call in screen.calls()]
    assert not screen.verdict().failures
    return "".join(out), [ruling.finding for ruling in screen.verdict().rulings]


def _names(text: str) -> list[tuple[int, int, str, float]]:
    return [(text.index(name), text.index(name) + 3, "PERSON", 0.85) for name in ("Ada", "Bob") if name in text]


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_every_cut_in_two_finds_and_delivers_the_same(text: str) -> None:
    whole = _run([text])
    for at in range(len(text) + 1):
        assert _run([text[:at], text[at:]]) == whole


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_a_character_at_a_time_finds_and_delivers_the_same(text: str) -> None:
    assert _run(list(text)) == _run([text])


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_what_is_allowed_is_never_found(text: str) -> None:
    _, found = _run([text])
    shown = {" ".join(text[each.start : each.end].replace("\u200b", "").casefold().split()) for each in found}
    assert not shown & {"joe@x.org", "1234", "blue heron", "ada"}

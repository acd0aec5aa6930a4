"""Masked and restored again, in streams and in the strings of JSON documents, cut anywhere: exactly what went in."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from guardrails.chain import Chain, Link
from guardrails.checks.entities import pii
from guardrails.jsontext import JsonText
from guardrails.masking import Restoring, Vault
from guardrails.screen import Screen
from guardrails.verdict import Action, Phase

LINK = Link(pii(["EMAIL_ADDRESS", "CREDIT_CARD", "URL"])[0], frozenset(Phase), Action.MASK_REVERSIBLE)
ROWS = Chain("mine", (LINK,)).rows(Phase.INPUT)
PIECES = st.sampled_from(
    [
        *("joe@x.org", "4111 1111 1111 1111", "https://x.y/z", "[", "]", "[EMAIL_ADDRESS_", " ", "\\", '"', "\n", "😀"),
        *("é", "\ud83d", "words ", "[EMAIL_ADDRESS_0123456789]", "{", "1"),
    ]
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)
DOCUMENTS = st.recursive(
    TEXTS | st.integers(-(10**9), 10**9) | st.booleans() | st.none(),  # a number that is masked stays a string
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


def _cut(text: str, at: int) -> list[str]:
    return [text[: at % (len(text) + 1)], text[at % (len(text) + 1) :]]


@given(TEXTS, st.integers(0, 400))
def test_a_text_comes_back_exactly_however_it_is_cut(text: str, at: int) -> None:
    vault = Vault(bytes(32), "acme", "c1")
    screen = Screen(ROWS, vault.mask)
    masked = "".join(map(screen.feed, _cut(text, at))) + screen.finish()
    assert "joe@x.org" not in masked
    restoring = Restoring(vault)
    assert "".join(map(restoring.feed, _cut(masked, at // 2))) + restoring.finish() == text


@given(DOCUMENTS, st.booleans(), st.integers(0, 400))
def test_a_document_stays_one_and_comes_back_with_the_same_values(given_: Any, ascii_only: bool, at: int) -> None:
    document = json.dumps(given_, ensure_ascii=ascii_only)
    passing = JsonText(lambda: Restoring(Vault(bytes(32), "acme", "c1")))
    assert json.loads("".join(map(passing.feed, _cut(document, at))) + passing.finish()) == given_
    vault = Vault(bytes(32), "acme", "c1")
    masking = JsonText(lambda: Screen(ROWS, vault.mask))
    masked = "".join(map(masking.feed, _cut(document, at))) + masking.finish()
    assert "joe@x.org" not in masked
    restoring = JsonText(lambda: Restoring(vault))
    out = "".join(map(restoring.feed, _cut(masked, at))) + restoring.finish()
    assert json.loads(out) == given_

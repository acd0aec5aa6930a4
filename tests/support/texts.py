"""Texts that chains find something in, and ways to cut them."""

from __future__ import annotations

from typing import Final, TypeVar

from hypothesis import strategies as st

Cut = TypeVar("Cut", str, bytes)

SAID: Final = st.lists(
    st.sampled_from(
        [
            *("joe@example.org", "joe", "@", "stop", " now", "stop now", "BAD ", "😀", "é", '"', "\\", "\n", " ", "{"),
            *("A sentence that goes on for a while, until it has an end at last. ", "\u2028", "\ud83d", "\ude00"),
        ]
    ),
    max_size=6,
).map("".join)


def cut(text: Cut, sizes: list[int]) -> list[Cut]:
    """The text in pieces of these sizes, again and again."""
    pieces: list[Cut] = []
    at = 0
    while at < len(text):
        pieces.append(text[at : at + sizes[len(pieces) % len(sizes)]])
        at += len(pieces[-1])
    return pieces

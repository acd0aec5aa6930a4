"""What one character looks like to a reader: compatibility forms and digits of any script as ASCII, letters that pass
for Latin ones as those, nothing for what cannot be seen. Words and sequences of characters are `normalise`'s affair.
"""

from __future__ import annotations

import unicodedata
from typing import Final

from guardrails.confusables import LOOKALIKES, ROUGH_LOOKALIKES

SURELY_LATIN: Final = {each: letter for letter, characters in LOOKALIKES.items() for each in characters}
"""Each character that looks like a Latin letter, and which."""
LATIN: Final = SURELY_LATIN | {each: letter for letter, characters in ROUGH_LOOKALIKES.items() for each in characters}
"""With those that pass for one only in the company of Latin letters."""

_PUNCTUATION: Final = {
    **dict.fromkeys("‘’‚‛ʼ′＇", "'"),
    **dict.fromkeys("“”„‟″", '"'),
    **dict.fromkeys("‐‑‒–—―−﹘⁃", "-"),
    **dict.fromkeys("⁄∕╱", "/"),
    **dict.fromkeys("․。", "."),
    **dict.fromkeys("∶꞉", ":"),
}

_UNSEEN: Final = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"
"""Invisible, though Unicode counts them as letters, marks or symbols: joiners, fillers, selectors, Braille's blank.
"""


def is_invisible(character: str) -> bool:
    """Takes no room where text is shown: format and control characters, tags, variation selectors, fillers."""
    category = unicodedata.category(character)
    if category in ("Cf", "Cc"):
        return character not in "\t\n\r\x0b\x0c\x85"
    return "\ufe00" <= character <= "\ufe0f" or "\U000e0000" <= character <= "\U000e0fff" or character in _UNSEEN


def plain(character: str) -> str:
    """The character as a reader takes it, letters that pass for Latin ones as they are; "" where nothing is seen."""
    if is_invisible(character):
        return ""
    made = unicodedata.normalize("NFKC", character)
    return "".join([_digit(each) for each in made]) if made != character else _digit(character)


def _digit(character: str) -> str:
    if character.isascii():
        return character
    value = unicodedata.decimal(character, None)
    return str(value) if value is not None else _PUNCTUATION.get(character, character)


class _Folds(dict[int, str]):
    """For `str.translate`: what is not ASCII as the reader takes it, worked out when first met."""

    def __missing__(self, code: int) -> str:
        made = "".join([LATIN.get(each, each) for each in plain(chr(code))])
        if len(self) < 20_000:
            self[code] = made
        return made


FOLDS: Final = _Folds()
"""Code point → what a reader takes it for, lookalikes of Latin letters included. Grows to 20,000 entries at most."""


def fold(text: str) -> str:
    """Each character as a reader takes it, without regard to its neighbours: the same however a text is cut."""
    return text if text.isascii() and text.isprintable() else text.translate(FOLDS)

"""What a reader sees of a text, and what a model can read out of it: checks look at these, not at the text as it
came.

`canonical` shows the text as a reader sees it; `views` adds what encodings in it hide. Both know for each character
where it came from. Linear in the text's length; what comes out is at most five times as long as what went in.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from guardrails import decode
from guardrails.characters import LATIN, SURELY_LATIN, is_invisible, plain
from guardrails.offsets import Made, Offsets

MOST_DECODED: Final = 4
"""Decoded views hold at most this many times the characters of the text (and `_FREE` more); the rest is left."""
DEEPEST: Final = 3
"""An encoding within an encoding within an encoding is read; nothing below."""

_FREE: Final = 1_000
_MOST_MARKS: Final = 3
_NOT_SEEN: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_PIECES: Final = re.compile(r"[\t\n\x0b\x0c\r -~]+|[^\t\n\x0b\x0c\r -~]+")
_WORDS: Final = re.compile(r"\w+")
_ASCII_LETTER: Final = re.compile("[A-Za-z]")
_IMITATED: Final = re.compile("[A-Za-z][\u0370-\u058f\u13a0-\u13ff]|[\u0370-\u058f\u13a0-\u13ff][A-Za-z]")
_MARKED: Final = re.compile("[A-Za-z\u0370-\u058f\u13a0-\u13ff][\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff]")
_LATIN: Final = str.maketrans(LATIN)
_SURELY_LATIN: Final = str.maketrans(SURELY_LATIN)


@dataclass(frozen=True, slots=True)
class Canonical:
    """A text as a reader sees it: NFKC, nothing invisible, letters that pass for Latin ones as those where a word
    shows that they do, digits of every script as 0 to 9. Character `i` came from the original's `[starts[i],
    ends[i])`.
    """

    text: str
    offsets: Offsets

    @property
    def starts(self) -> Sequence[int]:
        return self.offsets.starts

    @property
    def ends(self) -> Sequence[int]:
        return self.offsets.ends

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The part of the original that `[start, end)` of this text shows."""
        return self.offsets.span(start, end)


@dataclass(frozen=True, slots=True)
class View:
    """One reading of a text. `how` is empty for the canonical text, else what was decoded, outermost first:
    `("base64",)` or `("base64", "rot13")`. `text` is canonical itself.
    """

    text: str
    start: int
    end: int
    """The part of the original it was read from."""
    how: tuple[str, ...]
    map: Offsets

    @property
    def decoded(self) -> bool:
        """Seen only after decoding."""
        return bool(self.how)


def canonical(text: str) -> Canonical:
    """The text as a reader sees it. ASCII without control characters is returned as it is, at no cost."""
    if text.isascii() and _NOT_SEEN.search(text) is None:
        return Canonical(text, Offsets.same(len(text)))
    if _is_plain(text):
        return Canonical(_with_latin(text), Offsets.same(len(text)))
    made = Made()
    borrowed = 0  # how many characters at the end of the piece before belong to the marks that begin this one
    for piece in _PIECES.finditer(text):
        start, end = piece.span()
        if text[start].isascii() and text[start].isprintable():
            borrowed = 1 if _goes_on(text, end) else 0
            made.copy(text[start : end - borrowed], start)
            continue
        _show(text, start - borrowed, end, made)
        borrowed = 0
    shown, offsets = made.done()
    return Canonical(_with_latin(shown), offsets)


def views(text: str) -> list[View]:
    """The canonical text first, then what each encoding found in it says, and in that, to a depth of three."""
    shown = canonical(text)
    found = [View(shown.text, 0, len(text), (), shown.offsets)]
    seen = {shown.text}
    budget = MOST_DECODED * len(text) + _FREE
    edge = [(text, Offsets.same(len(text)), found[0])]
    for _ in range(DEEPEST):
        below = []
        for raw, raw_offsets, view in edge:
            for how, piece, offsets in _decoded(raw, raw_offsets, view):
                inner = canonical(piece)
                budget -= len(piece)
                if budget < 0:
                    return found
                if not inner.text.strip() or inner.text in seen:
                    continue
                seen.add(inner.text)
                at = offsets.of(inner.offsets)
                start, end = at.span(0, len(inner.text))
                found.append(View(inner.text, start, end, (*view.how, how), at))
                below.append((piece, offsets, found[-1]))
        edge = below
    return found


def _decoded(raw: str, raw_offsets: Offsets, view: View) -> list[tuple[str, str, Offsets]]:
    """What decoders read out of a view, with offsets into the original."""
    done = set(view.how) & decode.REPEATED_IN_VAIN
    hidden = [(how, text, raw_offsets.of(at)) for how, text, at in decode.hidden(raw)]
    return hidden + [(how, text, view.map.of(at)) for how, text, at in decode.decoded(view.text) if how not in done]


def _goes_on(text: str, at: int) -> bool:
    """Whether what is seen next belongs to the character before."""
    while at < len(text) and is_invisible(text[at]):
        at += 1
    return at < len(text) and _continues(text[at])


def _continues(character: str) -> bool:
    """Belongs to the character before it: a combining mark, or the later part of a Hangul syllable."""
    if character.isascii() or is_invisible(character):
        return False
    return unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff"


def _show(text: str, start: int, end: int, made: Made) -> None:
    """What is seen of `text[start:end]`, which begins and ends where no sequence is cut."""
    piece = text[start:end]
    if _is_plain(piece):
        made.copy(piece, start)
        return
    if not any(map(_JOINED.__getitem__, piece)):
        shown = piece.translate(_PLAIN_CODES)
        if len(shown) == len(piece):  # each for one: Chinese with its wide punctuation
            made.copy(shown, start)
            return
    at = start
    while at < end:
        base = at
        marks = ""
        at += 1
        if not is_invisible(text[base]):
            while at < end and (_continues(text[at]) or is_invisible(text[at])):
                if len(marks) < _MOST_MARKS and not is_invisible(text[at]):
                    marks += text[at]
                at += 1
        made.put(_sequence(text[base], marks) if marks else _PLAIN_CODES[ord(text[base])], base, at)


class _Joined(dict[str, bool]):
    """Whether a character is not seen, or belongs to the one before it; remembered."""

    def __missing__(self, character: str) -> bool:
        made = is_invisible(character) or _continues(character)
        if len(self) < 20_000:
            self[character] = made
        return made


_JOINED: Final = _Joined()


def _is_plain(text: str) -> bool:
    """Seen as it stands."""
    is_same = text.translate(_PLAIN_CODES) == text and unicodedata.is_normalized("NFKC", text)
    return is_same and _MARKED.search(text) is None


def _sequence(base: str, marks: str) -> str:
    """A character with its marks. Marks that do not compose with a Latin letter, or with one that looks like it
    (stress, strokes, "zalgo"), are not what is read.
    """
    composed = unicodedata.normalize("NFKC", base + marks)
    if len(composed) > 1:
        letter = unicodedata.normalize("NFKD", composed)[0]
        if LATIN.get(letter, letter).isascii():
            return letter
    return composed.translate(_PLAIN_CODES)


class _Plain(dict[int, str]):
    """`plain` by code point, remembered: the same few characters come again and again. For `str.translate`."""

    def __missing__(self, code: int) -> str:
        made = plain(chr(code))
        if len(self) < 20_000:
            self[code] = made
        return made


_PLAIN_CODES: Final = _Plain()


def _with_latin(text: str) -> str:
    """Words whose letters pass for Latin ones, as those: words that hold Latin letters too, and words that become all
    ASCII. Of the latter, where no word of the text is mixed, only those that look the same: "мир" stays what it is.
    """
    alone = _LATIN if _IMITATED.search(text) else _SURELY_LATIN

    def latin(word: re.Match[str]) -> str:
        letters = word[0]
        if letters.isascii():
            return letters
        if _ASCII_LETTER.search(letters):
            return letters.translate(_LATIN)
        changed = letters.translate(alone)
        return changed if changed.isascii() else letters

    return _WORDS.sub(latin, text)

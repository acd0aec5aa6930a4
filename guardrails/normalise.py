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
_UNSEEN: Final = 1
_CONTINUES: Final = 2
_JOINED: Final = re.compile(rb"[\1\2]+")
"""In the kinds of characters: those that do not stand for themselves."""
_FOREIGN_WORDS: Final = re.compile(r"\b[0-9A-Za-z_]*+[^\W\x00-\x7f]\w*")
"""Words with a letter beyond ASCII."""
_LOOKALIKE: Final = re.compile("[" + "".join(each for each in LATIN if each <= "\uffff") + "\U00010000-\U0010ffff]")
"""Also what is rare and not one: a set of characters beyond 16 bits is slow, unless it is a range."""
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
    kinds = bytes(map(_KINDS.__getitem__, text))
    if not any(kinds):
        shown = text.translate(_PLAIN_CODES)
        if len(shown) == len(text):
            return Canonical(_with_latin(shown), Offsets.same(len(text)))
    elif _is_plain(text):
        return Canonical(_with_latin(text), Offsets.same(len(text)))
    made = Made()
    done = 0
    joined = _JOINED.search(kinds)
    while joined is not None:
        base = max(done, joined.start() - 1)
        _copy(text, done, base, made)
        done = _sequence(text, kinds, base, joined.end(), made)
        joined = _JOINED.search(kinds, done)
    _copy(text, done, len(text), made)
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
    return hidden + [(how, text, view.map.of(at)) for how, text, at in decode.decoded(view.text, done)]


def _copy(text: str, start: int, end: int, made: Made) -> None:
    """What is seen of characters of which each is seen for itself."""
    if start == end:
        return
    at = start
    piece = text[start:end]
    shown = piece.translate(_PLAIN_CODES)
    if len(shown) == len(piece):
        made.copy(shown, start)
        return
    for index, character in enumerate(piece, start):
        seen = _PLAIN_CODES[ord(character)]
        if len(seen) != 1:
            made.copy(text[at:index].translate(_PLAIN_CODES), at)
            made.put(seen, index, index + 1)
            at = index + 1
    made.copy(text[at:end].translate(_PLAIN_CODES), at)


def _sequence(text: str, kinds: bytes, base: int, end: int, made: Made) -> int:
    """What is seen of a character and of those up to `end`, which are not seen or belong to it; returns where the next
    begins. What is not seen after a character of ASCII without marks is its own.
    """
    if kinds[base] == _UNSEEN:
        return end - len(kinds[base:end].lstrip(b"\1"))
    first = text[base]
    marks = "".join([text[at] for at in range(base + 1, end) if kinds[at] == _CONTINUES][:_MOST_MARKS])
    if marks:
        made.put(_marked(first, marks), base, end)
    else:
        made.put(_PLAIN_CODES[ord(first)], base, base + 1 if first.isascii() else end)
    return end


class _Kinds(dict[str, int]):
    """Whether a character is not seen, or belongs to the one before it: a combining mark, or the later part of a Hangul
    syllable; remembered.
    """

    def __missing__(self, character: str) -> int:
        made = 0
        if is_invisible(character):
            made = _UNSEEN
        elif unicodedata.category(character)[0] == "M" or "\u1160" <= character <= "\u11ff":
            made = _CONTINUES
        if len(self) < 20_000:
            self[character] = made
        return made


_KINDS: Final = _Kinds()


def _is_plain(text: str) -> bool:
    """Seen as it stands."""
    is_same = text.translate(_PLAIN_CODES) == text and unicodedata.is_normalized("NFKC", text)
    return is_same and _MARKED.search(text) is None


def _marked(base: str, marks: str) -> str:
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
    if _LOOKALIKE.search(text) is None:
        return text
    alone = _LATIN if _IMITATED.search(text) else _SURELY_LATIN

    def latin(word: re.Match[str]) -> str:
        letters = word[0]
        if _ASCII_LETTER.search(letters):
            return letters.translate(_LATIN)
        changed = letters.translate(alone)
        return changed if changed.isascii() else letters

    return _FOREIGN_WORDS.sub(latin, text)

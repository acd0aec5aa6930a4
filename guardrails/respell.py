"""Texts written so that only a reader who knows the trick takes them for words: rot13, leet, spaced letters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby, product
from operator import itemgetter
from typing import Final

from guardrails.english import likeness, with_i
from guardrails.offsets import Made, Offsets

_FRAGMENTS: Final = re.compile(r"[^.!?:;\"()\[\]{}<>\n]+")
_LETTERS: Final = re.compile("[A-Za-z]+")
_LETTER: Final = re.compile(r"[^\W\d_]")
_ROT13: Final = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", "NOPQRSTUVWXYZABCDEFGHIJKLMnopqrstuvwxyzabcdefghijklm"
)
_LEAST_LETTERS: Final = 10
_GAIN: Final = 0.8
"""Steps of likeness by which rot13 must read better than the text itself."""
_ENGLISH: Final = 4.2

_LEET_PAIR: Final = re.compile(r"[A-Za-z][0-9@$|!+]|[0-9@$|!+][A-Za-z]")
_LEET_TOKENS: Final = re.compile(r"[A-Za-z0-9@$|!+]+")
_LEET_SIGN: Final = re.compile("[0-9@$|!+]")
_LEET: Final = str.maketrans("023456789@$!|+", "ozeasgtbgasilt")
_LEAST_PAIRS: Final = 3

_SPACED: Final = re.compile(r"(?<!\S)\S(?:[ \t]{1,4}\S(?!\S)){4,}+")
_DOTTED: Final = re.compile(r"(?<![^\W_])[^\W_]([-._*/|~+,·])[^\W_](?:\1[^\W_])*+(?![^\W_])")
_SIGN_BETWEEN: Final = re.compile(r"[-._*/|~+,·][^\W_][-._*/|~+,·]")
_LEAST_SPACED: Final = 5
_GAPS: Final = re.compile(r"(\S)([ \t]*)")


def rot13(text: str) -> Iterator[tuple[str, Offsets]]:
    """Fragments that read like English only when rotated; those that follow each other as one text."""
    fragments = list(_FRAGMENTS.finditer(text))
    read = [_is_rotated(each[0]) for each in fragments]
    if not any(read):
        return
    lettered = [at for at, each in enumerate(fragments) if _LETTERS.search(each[0])]
    fragments, read = [fragments[at] for at in lettered], [read[at] for at in lettered]
    last = len(read) - 1
    for at, neighbour in [*((i + 1, i) for i in range(last)), *((i, i + 1) for i in reversed(range(last)))]:
        read[at] = read[at] or (read[neighbour] and _rather_rotated(fragments[at][0]))
    for is_read, run in groupby(zip(read, fragments, strict=True), key=itemgetter(0)):
        if is_read:
            each = [fragment for _, fragment in run]
            yield _rotated(text, each[0].start(), each[-1].end())


def _rotated(text: str, start: int, end: int) -> tuple[str, Offsets]:
    return text[start:end].translate(_ROT13), Offsets(range(start, end), range(start + 1, end + 1))


def _is_rotated(fragment: str) -> bool:
    if len(fragment) < _LEAST_LETTERS:
        return False
    low = fragment.lower()
    count = low.count
    if 10 * sum(map(count, "rgnbva")) < 9 * sum(map(count, "etaoin")):  # what e, t, a, o, i, n become: rarer in English
        return False
    words = _LETTERS.findall(low)
    if sum(map(len, words)) < _LEAST_LETTERS:
        return False
    turned = likeness(" ".join(words).translate(_ROT13).split())
    return turned >= _ENGLISH and turned >= likeness(words) + _GAIN


def _rather_rotated(fragment: str) -> bool:
    """For what stands beside a rotated fragment: it may be too short, or in another language, to be taken for one."""
    words = _LETTERS.findall(fragment)
    return likeness([word.translate(_ROT13) for word in words]) > likeness(words)


def leet(text: str) -> Iterator[tuple[str, Offsets]]:
    """The text with digits and signs as the letters they stand for, if that makes words of several."""
    if len(_LEET_SIGN.findall(text)) < _LEAST_PAIRS or len(_LEET_PAIR.findall(text)) < _LEAST_PAIRS:
        return
    tokens = list(_LEET_TOKENS.finditer(text))
    mixed = {word: _spelled(word) for word in {token[0] for token in tokens} if _is_mixed(word)}
    respelled = [mixed[token[0]] for token in tokens if token[0] in mixed]
    if len(respelled) < 2 or likeness(respelled) < _ENGLISH:
        return
    also_numbers = 3 * len(respelled) >= len(tokens)
    made = []
    at = 0
    for token in tokens:
        if token[0] in mixed or (also_numbers and token[0].isdigit()):
            made += [text[at : token.start()], mixed.get(token[0]) or _spelled(token[0])]
            at = token.end()
    made.append(text[at:])
    yield "".join(made), Offsets.same(len(text))


def _is_mixed(token: str) -> bool:
    if token.isalpha() or token.isdigit():
        return False
    body = token.rstrip("!+|")
    return not body.isalpha() and not body.isdigit() and any(map(str.isalpha, body))


def _spelled(token: str) -> str:
    """The word a token stands for; each 1 the better of i and l."""
    body = token.rstrip("!+|")
    spelled = body.translate(_LEET)
    ones = min(spelled.count("1"), 3)
    if ones:
        word = with_i(spelled)
        if word is not None:
            return word + token[len(body) :]
        choices = ("".join(_filled(spelled, letters)) for letters in product("il", repeat=ones))
        spelled = max(choices, key=lambda word: likeness([word]))
    return spelled + token[len(body) :]


def _filled(spelled: str, letters: tuple[str, ...]) -> Iterator[str]:
    parts = spelled.split("1")
    for number, part in enumerate(parts[:-1]):
        yield part
        yield letters[min(number, len(letters) - 1)]
    yield parts[-1]


def spaced(text: str) -> Iterator[tuple[str, Offsets]]:
    """The text with l e t t e r s set apart, by blanks or by a sign, brought together again."""
    runs: list[tuple[int, int, list[tuple[str, int]]]] = []
    if list(map(len, text.split())).count(1) >= _LEAST_SPACED:
        runs = [(each.start(), each.end(), _closed(each)) for each in _SPACED.finditer(text) if _has_letters(each[0])]
    dotted: list[re.Match[str]] = []
    if _SIGN_BETWEEN.search(text) is not None:
        dotted = [each for each in _DOTTED.finditer(text) if len(each[0]) >= 5 and _has_letters(each[0])]
    if sum(len(match[0]) for match in dotted) >= 9:
        runs += [(match.start(), match.end(), _unmarked(match)) for match in dotted]
    if not runs:
        return
    made = Made()
    at = 0
    for start, end, letters in sorted(runs):
        if start < at:
            continue
        made.copy(text[at:start], at)
        for letter, where in letters:
            made.put(letter, where, where + 1)
        at = end
    made.copy(text[at:], at)
    yield made.done()


def _has_letters(run: str) -> bool:
    """Columns of numbers say nothing else when they are brought together."""
    return _LETTER.search(run) is not None


def _closed(match: re.Match[str]) -> list[tuple[str, int]]:
    """Letters without the blanks between them; two blanks or more part words."""
    letters = []
    for unit in _GAPS.finditer(match[0]):
        letters.append((unit[1], match.start() + unit.start()))
        if len(unit[2]) > 1:
            letters.append((" ", match.start() + unit.start(2)))
    return letters


def _unmarked(match: re.Match[str]) -> list[tuple[str, int]]:
    return [(letter, match.start() + number) for number, letter in enumerate(match[0]) if number % 2 == 0]

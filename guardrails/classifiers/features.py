"""What a classifier sees of a text: its units (sentences), and for each the numbers of the features it has.

Two kinds of features, because they generalise differently. *Surface* features are words, pairs of words and pieces of
words, hashed into a table: they learn what the training texts say. *Concept* features are the classes of words in a
lexicon (`ignorieren`, `disregard` and `vergiss` are one concept), their ordered pairs and triples: they learn what an
attack does, and carry over to texts of other people and in other languages. The same code runs in training and in use.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final, NamedTuple
from zlib import crc32

SURFACE_SLOTS: Final = 1 << 19
TRIPLE_SLOTS: Final = 1 << 17
MOST_CONCEPTS: Final = 96
PAIRS: Final = SURFACE_SLOTS + MOST_CONCEPTS
TRIPLES: Final = PAIRS + MOST_CONCEPTS * MOST_CONCEPTS
SLOTS: Final = TRIPLES + TRIPLE_SLOTS
"""Length of a table of weights: the surface features, then concepts, their pairs and their triples."""

MOST_TOKENS: Final = 32
"""Tokens of a unit: a longer sentence is cut, so that one clause is not diluted by twenty others."""
FEWEST_TOKENS: Final = 5
"""A shorter sentence joins the next one."""
_REACH: Final = 10
"""Tokens between the two concepts of a pair, at most."""
_LONGEST_WORD: Final = 24
_MOST_KNOWN: Final = 20_000

_MARKS: Final = (
    (
        "ROLE_MARK",
        (
            r"<\|[^|<>\n]{1,24}\|>|\[/?(?:inst|system|sys|user|assistant|admin)\b[^\]\n]{0,24}\]|<</?sys>>"
            r"|</?(?:system|instructions?|user|assistant|human|information|important|admin|prompt|secret)\b[^>\n]{0,24}>"
            r"|(?:^|\n)\s*[#*=\-]{0,6}\s*(?:system|assistant|human|developer|admin|user|ai)\b[^\n:]{0,16}:"
        ),
    ),
    ("FENCE", r"[-=*#_~]{4,}|<!--|-->|```|\]\]|\[\["),
    ("EMAIL", r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}\.[\w.-]{2,32}"),
    ("URL", r"(?:https?://|www\.)\S{3,}|\b[\w-]{2,40}\.(?:com|net|org|io|ru|cn|xyz)\b(?:/\S*)?"),
    ("SLOT", r"\[[A-Z_ ]{3,32}\]|\{[A-Za-z_.]{1,32}\}"),
    ("PATH", r"(?:~|\.{1,2})?/(?:[\w.-]+/)+[\w.-]*"),
    ("BLOB", r"(?<![\w+/=-])[A-Za-z0-9+/=_-]{40,}"),
)
MARKS: Final = tuple(name for name, _ in _MARKS)
# Group n of the pattern is the mark n, the one after them a run of Chinese or Japanese, the last a word.
_EITHER: Final = r"([\u3040-\u30ff\u3400-\u9fff]+)|([^\W_]+(?:['’\-][^\W_]+)*)"
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9]+(?:['\-][A-Za-z0-9]+)*")
_TOKEN: Final = re.compile("|".join([*(f"({pattern})" for _, pattern in _MARKS), _EITHER]), re.IGNORECASE)
_MARKED: Final = re.compile(r"[@<>\[\]{}/|`*=#~:]|--|__|www\.|\w\.\w|\S{40}")
"""Without one of these no mark is in a sentence: most have none, and are then read by the words alone."""
_CJK: Final = len(_MARKS) + 1
_END: Final = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])|[\n;]+|(?<!<)\|(?!>)|(?<=:)\s+")


class Unit(NamedTuple):
    """The features of one sentence, each named once."""

    surface: set[int]
    concepts: set[int]


class Lexicon:
    """The concepts of words. `lines` are those of a `.lexicon` file. `hashed` adds the concepts, numbered from 0 after
    all others, of words known only by their CRC-32: a list of insults need not be readable in an installation.
    """

    def __init__(self, lines: Iterable[str], hashed: Mapping[int, int] | None = None) -> None:
        self.names: list[str] = list(MARKS)
        self._words: dict[str, tuple[int, ...]] = {}
        self._prefixes: dict[str, tuple[int, ...]] = {}
        for line in lines:
            if not line.strip() or line.startswith("#"):
                continue
            name, _, words = line.partition(":")
            number = len(self.names)
            self.names.append(name)
            for word in words.split():
                table, key = (self._prefixes, word[:-1]) if word.endswith("*") else (self._words, word)
                key = fold(key)
                table[key] = tuple(sorted({*table.get(key, ()), number}))
        first = len(self.names)
        self._hashed = {word: first + concept for word, concept in (hashed or {}).items()}
        self.names += [f"HASHED_{concept}" for concept in sorted(set((hashed or {}).values()))]
        if len(self.names) > MOST_CONCEPTS:
            raise ValueError(f"a lexicon has at most {MOST_CONCEPTS - len(MARKS)} concepts, this has more")
        self._lengths = sorted({len(prefix) for prefix in self._prefixes})

    def of(self, word: str) -> tuple[int, ...]:
        """The concepts of a folded word, none for most."""
        listed = self._listed(word)
        hashed = self._hashed.get(crc32(word.encode("utf-8", "replace"))) if self._hashed else None
        return listed if hashed is None else (*listed, hashed)

    def _listed(self, word: str) -> tuple[int, ...]:
        found = self._words.get(word)
        if found is not None:
            return found
        for length in self._lengths:
            if length > len(word):
                break
            found = self._prefixes.get(word[:length])
            if found is not None:
                return found
        return ()


def fold(text: str) -> str:
    """Small letters without accents."""
    text = text.lower()
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


class Reader:
    """Turns texts into units. What it has seen of words it remembers, up to a bound."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.lexicon = lexicon
        self._known: dict[str, _Word] = {}

    def units(self, text: str) -> list[Unit]:
        """The sentences of a text, in order; none for a text without words."""
        known = self._known
        units: list[Unit] = []
        words: list[_Word] = []
        concepts: list[tuple[int, int]] = []
        for sentence in _END.split(text):
            if sentence.isascii() and _MARKED.search(sentence) is None:
                for raw in _PLAIN_WORD.findall(sentence):
                    word = known.get(raw) or self._meet(raw)
                    if word.concepts:
                        concepts += [(len(words), concept) for concept in word.concepts]
                    words.append(word)
                    if len(words) >= MOST_TOKENS:
                        units.append(self._unit(words, concepts))
                        words, concepts = [], []
            else:
                words, concepts = self._read(sentence, words, concepts, units)
            if len(words) >= FEWEST_TOKENS:
                units.append(self._unit(words, concepts))
                words, concepts = [], []
        if words or concepts:
            units.append(self._unit(words, concepts))
        return units

    def _read(
        self, sentence: str, words: list[_Word], concepts: list[tuple[int, int]], units: list[Unit]
    ) -> tuple[list[_Word], list[tuple[int, int]]]:
        """Reads a sentence that may hold marks or characters beyond ASCII, on from the words of the ones before."""
        for match in _TOKEN.finditer(sentence):
            group = match.lastindex or 0
            if group < _CJK:
                concepts.append((len(words), group - 1))
            elif group == _CJK:
                self._add_characters(match[0], words, concepts)
            else:
                self._add(match[0], words, concepts)
            if len(words) >= MOST_TOKENS:
                units.append(self._unit(words, concepts))
                words, concepts = [], []
        return words, concepts

    def _add(self, raw: str, words: list[_Word], concepts: list[tuple[int, int]]) -> None:
        word = self._known.get(raw) or self._meet(raw)
        at = len(words)
        concepts.extend((at, concept) for concept in word.concepts)
        words.append(word)

    def _add_characters(self, run: str, words: list[_Word], concepts: list[tuple[int, int]]) -> None:
        for start in range(max(1, len(run) - 1)):
            self._add(run[start : start + 2], words, concepts)

    def _unit(self, words: list[_Word], concepts: list[tuple[int, int]]) -> Unit:
        surface: set[int] = set()
        before = 0
        for word in words:
            surface.update(word.pieces)
            surface.add(crc32(word.after, before) & (SURFACE_SLOTS - 1))  # of both words and the blank between them
            before = word.sum
        return Unit(surface, set(_combined(concepts)))

    def _meet(self, raw: str) -> _Word:
        folded = fold(raw).replace("’", "'")
        concepts = self.lexicon.of(folded.replace("'", ""))
        encoded = b"#%d" % min(len(folded), 9) if folded.isdigit() else folded.encode("utf-8", "replace")
        word = _Word(crc32(encoded), b" " + encoded, concepts, tuple(set(_surface(encoded))))
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[raw] = word
        return word


class _Word(NamedTuple):
    sum: int
    """CRC-32 of the folded word."""
    after: bytes
    """The folded word as it follows another: with a blank before it."""
    concepts: tuple[int, ...]
    pieces: tuple[int, ...]


def _surface(word: bytes) -> Iterable[int]:
    """The word, and its pieces of four bytes with its borders; of numbers only their length."""
    yield crc32(word) & (SURFACE_SLOTS - 1)
    bordered = b"^%b$" % word[:_LONGEST_WORD]
    for start in range(len(bordered) - 3):
        yield crc32(bordered[start : start + 4], 7) & (SURFACE_SLOTS - 1)


def _combined(concepts: list[tuple[int, int]]) -> Iterable[int]:
    """Concepts, ordered pairs within reach, and runs of three."""
    for i, (at, first) in enumerate(concepts):
        yield SURFACE_SLOTS + first
        near = [second for later, second in concepts[i + 1 : i + 7] if later - at <= _REACH]
        for n, second in enumerate(near):
            yield PAIRS + first * MOST_CONCEPTS + second
            for third in near[n + 1 : n + 3] if n < 2 else ():
                mixed = ((first * MOST_CONCEPTS + second) * MOST_CONCEPTS + third) * 2_654_435_761
                yield TRIPLES + (mixed >> 12) % TRIPLE_SLOTS


def windows(units: list[Unit]) -> list[tuple[Unit, ...]]:
    """Each two neighbours: what an attack says is often begun in one sentence and ended in the next. At least one."""
    if len(units) < 2:
        return [(units[0],)] if units else [(_EMPTY,)]
    return list(pairwise(units))


def surface_scale(count: int) -> float:
    """What each of `count` surface features of a window counts for, so that a long window does not say more."""
    return float(max(24, count) ** -0.5)


_EMPTY: Final = Unit(set(), set())


def pooled(scores: list[float], length: float) -> float:
    """The score of a text from those of its windows: their soft maximum, less `length` times the logarithm of how many
    they are (0: the worst place alone counts; 1: like the mean), since the worst of many is bad by chance.
    """
    highest = max(scores)
    total = sum(math.exp(score - highest) for score in scores)
    return highest + math.log(total) - length * math.log(min(len(scores), COUNTED_WINDOWS))


COUNTED_WINDOWS: Final = 30
"""A longer text is judged no more mildly than one of so many windows."""

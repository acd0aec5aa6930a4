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
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
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
_EITHER: Final = r"([\u3040-\u30ff\u3400-\u9fff]+)|([^\W_]+(?:['’\-][^\W_]+)*)"
_PLAIN_WORD: Final = re.compile(r"[A-Za-z0-9]+(?:['\-][A-Za-z0-9]+)*")
_SIGN: Final = re.compile(r"[@<>\[\]{}/|`*=#~:]")
_SIGNS: Final = re.compile(r"[-_.](?:(?<=--)|(?<=__)|(?<=\w\.)\w)")
_LONGEST_UNMARKED: Final = 40
_CJK: Final = len(_MARKS) + 1
_END: Final = re.compile(r"[\s;|](?:(?<=[.!?…]\s)\s*|(?<=[\n;])[\n;]*|(?<=\|)(?<!<\|)(?!>)|(?<=:\s)\s*)")
"""Begins with a set of characters, so that the engine leaps from one of them to the next."""
_WIDE_END: Final = re.compile(f"(?<=[。！？])|{_END.pattern}")
_WIDE_ENDS: Final = re.compile("[。！？]")


class Unit(NamedTuple):
    """The features of one sentence, each named once; the surface features with their weights."""

    surface: dict[int, int]
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
    apart = unicodedata.normalize("NFD", text)
    return (
        "".join([c for c in apart if not unicodedata.combining(c)]) if any(map(unicodedata.combining, apart)) else apart
    )


class Reader:
    """Turns texts into units. What it has seen of words it remembers, up to a bound. Without a table of weights, as in
    training, all are 0.
    """

    def __init__(self, lexicon: Lexicon, table: Sequence[int] | None = None) -> None:
        self.lexicon = lexicon
        self._table = table
        for kind in (0, 4, 5, 6, 7):  # made now, and not for the first text that needs one: each takes milliseconds
            _tokens(kind >= 4, kind in (5, 7), kind in (6, 7))
        self._known: dict[str, _Word] = {}

    def units(self, text: str, read: dict[str, list[Unit]] | None = None) -> list[Unit]:
        """The sentences of a text, in order; none for a text without words. `read` keeps those that make units by
        themselves: where texts have sentences in common, they are read once.
        """
        known = self._known
        sentences: dict[str, list[Unit]] = {} if read is None else read
        units: list[Unit] = []
        words: list[_Word] = []
        concepts: list[tuple[int, int]] = []
        for sentence in (_END if _WIDE_ENDS.search(text) is None else _WIDE_END).split(text):
            is_begun = bool(words or concepts)
            if not is_begun:
                again = sentences.get(sentence)
                if again is not None:
                    units += again
                    continue
            first = len(units)
            if sentence.isascii() and not _may_be_marked(sentence):
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
            if not is_begun and not words and not concepts:
                sentences[sentence] = units[first:]
        if words or concepts:
            units.append(self._unit(words, concepts))
        return units

    def _read(
        self, sentence: str, words: list[_Word], concepts: list[tuple[int, int]], units: list[Unit]
    ) -> tuple[list[_Word], list[tuple[int, int]]]:
        """Reads a sentence that may hold marks or characters beyond ASCII, on from the words of the ones before."""
        marked = _may_be_marked(sentence)
        may_link = marked and ("." in sentence or "://" in sentence)
        for match in _tokens(marked, marked and "@" in sentence, may_link).finditer(sentence):
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
        if word.concepts:
            concepts += [(len(words), concept) for concept in word.concepts]
        words.append(word)

    def _add_characters(self, run: str, words: list[_Word], concepts: list[tuple[int, int]]) -> None:
        for start in range(max(1, len(run) - 1)):
            self._add(run[start : start + 2], words, concepts)

    def _unit(self, words: list[_Word], concepts: list[tuple[int, int]]) -> Unit:
        table = self._table
        surface: dict[int, int] = {}
        before = 0
        for word in words:
            surface.update(word.pieces)
            pair = crc32(word.after, before) & (SURFACE_SLOTS - 1)  # both words and the blank between them
            surface[pair] = 0 if table is None else table[pair]
            before = word.sum
        return Unit(surface, set(_combined(concepts)) if concepts else set())

    def _meet(self, raw: str) -> _Word:
        folded = fold(raw).replace("’", "'")
        concepts = self.lexicon.of(folded.replace("'", ""))
        encoded = b"#%d" % min(len(folded), 9) if folded.isdigit() else folded.encode("utf-8", "replace")
        table = self._table
        slots = _surface(encoded)
        pieces = (
            dict.fromkeys(slots, 0) if table is None else dict(zip(slots, map(table.__getitem__, slots), strict=True))
        )
        word = _Word(crc32(encoded), b" " + encoded, concepts, pieces)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[raw] = word
        return word


class _Word:
    __slots__ = ("after", "concepts", "pieces", "sum")

    def __init__(self, total: int, after: bytes, concepts: tuple[int, ...], pieces: dict[int, int]) -> None:
        self.sum: Final = total
        """CRC-32 of the folded word."""
        self.after: Final = after
        """The folded word as it follows another: with a blank before it."""
        self.concepts: Final = concepts
        self.pieces: Final = pieces
        """With their weights."""


def _may_be_marked(sentence: str) -> bool:
    """Whether a mark can be in it: most have none, and are then read by the words alone."""
    return (
        _SIGN.search(sentence) is not None
        or _SIGNS.search(sentence) is not None
        or "www." in sentence
        or _has_long_word(sentence)
    )


def _has_long_word(sentence: str) -> bool:
    return len(sentence) >= _LONGEST_UNMARKED and max(map(len, sentence.split()), default=0) >= _LONGEST_UNMARKED


@cache
def _tokens(marked: bool, email: bool, url: bool) -> re.Pattern[str]:
    """Finds the marks that may be in a sentence, and words: what cannot be there is not looked for at every letter.
    Group n is the mark n, the one after them a run of Chinese or Japanese, the last a word.
    """
    possible = {"EMAIL": email, "URL": url}
    marks = [f"({pattern})" if marked and possible.get(name, True) else "((?!))" for name, pattern in _MARKS]
    return re.compile("|".join([*marks, _EITHER]), re.IGNORECASE)


def _surface(word: bytes) -> list[int]:
    """The word, and its pieces of four bytes with its borders; of numbers only their length."""
    bordered = b"^" + word[:_LONGEST_WORD] + b"$"
    pieces = [crc32(bordered[start : start + 4], 7) & (SURFACE_SLOTS - 1) for start in range(len(bordered) - 3)]
    return [crc32(word) & (SURFACE_SLOTS - 1), *pieces]


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


_EMPTY: Final = Unit({}, set())


def pooled(scores: list[float], length: float) -> float:
    """The score of a text from those of its windows: their soft maximum, less `length` times the logarithm of how many
    they are (0: the worst place alone counts; 1: like the mean), since the worst of many is bad by chance.
    """
    highest = max(scores)
    total = sum(math.exp(score - highest) for score in scores)
    return highest + math.log(total) - length * math.log(min(len(scores), COUNTED_WINDOWS))


COUNTED_WINDOWS: Final = 30
"""A longer text is judged no more mildly than one of so many windows."""

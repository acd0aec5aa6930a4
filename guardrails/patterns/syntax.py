"""The syntax of patterns: what of Python's `re` can be matched in linear time, read into a tree.

Left out, with an error that says so: back-references, lazy and possessive repetition, and looks ahead or behind
over more than one character.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MOST_REPEATED: Final = 1_000
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "0": "\0"}
_KINDS: Final = "dDwWsS"
_HEX: Final = {"x": 2, "u": 4, "U": 8}


class PatternError(ValueError):
    """A pattern that is not one, or not one that is matched here; the message says where and what would be right."""

    def __init__(self, pattern: str, at: int, problem: str) -> None:
        super().__init__(f"{problem} (at character {at} of {pattern!r})")


@dataclass(frozen=True, slots=True)
class Set:
    """Characters: ranges of code points, kinds (the letters after the backslash), or all others."""

    ranges: tuple[tuple[int, int], ...]
    kinds: str = ""
    negated: bool = False

    def holds(self, character: str) -> bool:
        code = ord(character)
        inside = any(low <= code <= high for low, high in self.ranges) or any(
            _is(kind, character) for kind in self.kinds
        )
        return inside is not self.negated


@dataclass(frozen=True, slots=True)
class Look:
    """A place by what is beside it. `side` is "ahead" or "behind", "word" for the border of a word, "start" or
    "end" of the text or, with `lines`, of a line; `wanted` is whether it must be so.
    """

    side: str
    wanted: bool
    set: Set | None = None
    lines: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    parts: tuple[Tree, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    part: Tree
    least: int
    most: int | None


Tree = Set | Look | Sequence | Choice | Repeat


def is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def parse(pattern: str) -> Tree:
    """The tree of a pattern. Raises `PatternError`."""
    return _Parser(pattern).whole()


def longest(tree: Tree) -> int | None:
    """How many characters a match has at most; None if there is no end to it."""
    if isinstance(tree, Set):
        return 1
    if isinstance(tree, Look):
        return 0
    if isinstance(tree, Repeat):
        each = longest(tree.part)
        return None if each is None or tree.most is None else each * tree.most
    lengths = [longest(part) for part in tree.parts]
    known = [length for length in lengths if length is not None]
    if len(known) < len(lengths):
        return None
    return sum(known) if isinstance(tree, Sequence) else max(known, default=0)


def shortest(tree: Tree) -> int:
    """How many characters a match has at least."""
    if isinstance(tree, Set):
        return 1
    if isinstance(tree, Look):
        return 0
    if isinstance(tree, Repeat):
        return tree.least * shortest(tree.part)
    lengths = [shortest(part) for part in tree.parts]
    return sum(lengths) if isinstance(tree, Sequence) else min(lengths, default=0)


def _is(kind: str, character: str) -> bool:
    low = kind.lower()
    if low == "d":
        inside = "0" <= character <= "9"  # digits of other scripts are read as these
    elif low == "w":
        inside = is_word(character)
    else:
        inside = character.isspace()
    return inside is (kind == low)


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.any_case = False
        self.lines = False
        self.any_character = False

    def whole(self) -> Tree:
        if self.pattern.startswith("(?") and self.pattern[2:3] in ("i", "m", "s"):
            self._flags()
        tree = self._choice()
        if self.at < len(self.pattern):
            raise self._error("a ) without its (")
        return tree

    def _error(self, problem: str) -> PatternError:
        return PatternError(self.pattern, self.at, problem)

    def _next(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def _takes(self, text: str) -> bool:
        found = self.pattern.startswith(text, self.at)
        self.at += len(text) * found
        return found

    def _flags(self) -> None:
        end = self.pattern.find(")")
        flags = self.pattern[2:end]
        if end < 0 or not set(flags) <= set("ims"):
            raise self._error("flags are i, m and s, for the whole pattern: (?i)")
        self.any_case, self.lines, self.any_character = "i" in flags, "m" in flags, "s" in flags
        self.at = end + 1

    def _choice(self) -> Tree:
        parts = [self._sequence()]
        while self._takes("|"):
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Tree:
        parts: list[Tree] = []
        while self.at < len(self.pattern) and self._next() not in "|)":
            parts.append(self._repeated(self._one()))
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _repeated(self, part: Tree) -> Tree:
        while True:
            if self._takes("*"):
                least, most = 0, None
            elif self._takes("+"):
                least, most = 1, None
            elif self._takes("?"):
                least, most = 0, 1
            else:
                counted = self._counted()
                if counted is None:
                    return part
                least, most = counted
            if isinstance(part, Look):
                raise self._error("a place cannot be repeated")
            if self._next() == "?":
                raise self._error(
                    "the longest match counts: leave out the ? of a lazy repetition, and name what may stand there"
                )
            if self._next() == "+":
                raise self._error("nothing is tried twice here: leave out the + of a possessive repetition")
            part = Repeat(part, least, most)

    def _counted(self) -> tuple[int, int | None] | None:
        end = self.pattern.find("}", self.at)
        inner = self.pattern[self.at + 1 : end]
        low, comma, high = inner.partition(",")
        if self._next() != "{" or end < 0 or not low.isdecimal() or not (high.isdecimal() or not high):
            return None
        least, most = int(low), (int(high) if high else None) if comma else int(low)
        if max(least, most or 0) > MOST_REPEATED:
            raise self._error(f"a repetition of more than {MOST_REPEATED}")
        if most is not None and most < least:
            raise self._error("a repetition that ends before it begins")
        self.at = end + 1
        return least, most

    def _one(self) -> Tree:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return self._set()
        if character == "\\":
            return self._escape()
        if character in "*+?":
            raise self._error(f"{character} repeats nothing")
        self.at += 1
        if character == ".":
            return Set((), negated=True) if self.any_character else Set(((10, 10),), negated=True)
        if character == "^":
            return Look("start", True, lines=self.lines)
        if character == "$":
            return Look("end", True, lines=self.lines)
        return self._literal(character)

    def _literal(self, character: str) -> Set:
        return self._cased([(ord(character), ord(character))], "", False)

    def _cased(self, ranges: list[tuple[int, int]], kinds: str, negated: bool) -> Set:
        if self.any_case:
            for low, high in tuple(ranges):
                for first, last, shift in ((65, 90, 32), (97, 122, -32)):
                    if max(low, first) <= min(high, last):
                        ranges.append((max(low, first) + shift, min(high, last) + shift))
        return Set(tuple(sorted(set(ranges))), kinds, negated)

    def _group(self) -> Tree:
        for opening, side, wanted in (
            *(("(?=", "ahead", True), ("(?!", "ahead", False)),
            *(("(?<=", "behind", True), ("(?<!", "behind", False)),
        ):
            if self._takes(opening):
                seen = self._choice()
                if isinstance(seen, Choice) and all(isinstance(part, Set) for part in seen.parts):
                    raise self._error("write a set, [ab] instead of a|b, to look at one character")
                if not isinstance(seen, Set):
                    raise self._error("a look ahead or behind sees one character: a letter, a set or a class")
                self._close()
                return Look(side, wanted, seen)
        if self._takes("(?P<"):
            self.at = self.pattern.find(">", self.at) + 1 or len(self.pattern)
        elif not self._takes("(?:"):
            self._takes("(")
            if self._next() == "?":
                raise self._error("this kind of group is not matched in linear time; (?:...) groups")
        tree = self._choice()
        self._close()
        return tree

    def _close(self) -> None:
        if not self._takes(")"):
            raise self._error("a ( without its )")

    def _escape(self) -> Tree:
        kind = self.pattern[self.at + 1 : self.at + 2]
        if kind in ("b", "B"):
            self.at += 2
            return Look("word", kind == "b")
        if kind in ("A", "Z"):
            self.at += 2
            return Look("start" if kind == "A" else "end", True)
        found = self._escaped()
        return self._literal(found) if found else Set((), kind)

    def _escaped(self) -> str:
        """The character an escape stands for; "" for a kind of characters, which `self.pattern` names before
        `self.at`.
        """
        kind = self.pattern[self.at + 1 : self.at + 2]
        self.at += 2
        if kind == "" or (kind.isalnum() and kind not in _KINDS and kind not in _ESCAPES and kind not in _HEX):
            self.at -= 2
            raise self._error(
                "a back-reference is not matched in linear time" if kind.isdecimal() else "an escape unknown here"
            )
        if kind in _KINDS:
            return ""
        if kind in _HEX:
            digits = self.pattern[self.at : self.at + _HEX[kind]]
            self.at += len(digits)
            try:
                return chr(int(digits if len(digits) == _HEX[kind] else "", 16))
            except (ValueError, OverflowError):
                raise self._error(f"\\{kind} wants {_HEX[kind]} hexadecimal digits") from None
        return _ESCAPES.get(kind, kind)

    def _set(self) -> Set:
        self.at += 1
        negated = self._takes("^")
        ranges: list[tuple[int, int]] = []
        kinds = ""
        first = True
        while first or self._next() != "]":
            first = False
            if self.at >= len(self.pattern):
                raise self._error("a [ without its ]")
            low = self._member()
            if low == "":
                kinds += self.pattern[self.at - 1]
                continue
            high = low
            if self._next() == "-" and self.pattern[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._member()
            if high < low:
                raise self._error("a range that ends before it begins")
            ranges.append((ord(low), ord(high)))
        self.at += 1
        return self._cased(ranges, kinds, negated)

    def _member(self) -> str:
        if self._next() == "\\":
            if self.pattern[self.at + 1 : self.at + 2] == "b":
                self.at += 2
                return "\b"
            return self._escaped()
        self.at += 1
        return self.pattern[self.at - 1]

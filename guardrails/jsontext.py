"""The texts in a JSON document, as it streams: each string and number is decoded, changed, and encoded again, so
that no escape hides anything from a check and no mask breaks the document. What is no JSON passes as text of its
own.

Strings are changed one by one: nothing is found across the border of two.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol

_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_ESCAPED: Final = {
    **{code: f"\\u{code:04x}" for code in (*range(0x20), *range(0xD800, 0xE000))},
    **{ord(character): f"\\{letter}" for letter, character in _SHORT.items()},
    ord('"'): '\\"',
    ord("\\"): "\\\\",
}
_NUMBER: Final = frozenset("0123456789+-.eE")
_MOST_NUMBER: Final = 400


class Stage(Protocol):
    """What changes a text: a `Screen`, a `Restoring`."""

    def feed(self, text: str) -> str: ...

    def finish(self) -> str: ...


class _Where(Enum):
    OUTSIDE = auto()
    STRING = auto()
    ESCAPE = auto()
    NUMBER = auto()


class JsonText:
    """One document. `begin` makes the stage of each string and number."""

    __slots__ = ("_begin", "_escape", "_high", "_number", "_stage", "_where")

    def __init__(self, begin: Callable[[], Stage]) -> None:
        self._begin: Final = begin
        self._where = _Where.OUTSIDE
        self._stage: Stage | None = None
        self._escape = ""
        self._number = ""
        self._high = ""  # a high surrogate that was escaped, until its low one comes

    def feed(self, text: str) -> str:
        """What these characters of the document become."""
        out: list[str] = []
        letters: list[str] = []  # of the string that is being read
        for character in text:
            if self._where is _Where.STRING and character not in '"\\':
                letters.append(self._paired(character))
            elif self._where is _Where.ESCAPE:
                letters.append(self._escaped(character))
            elif self._where is _Where.STRING and character == "\\":
                self._where, self._escape = _Where.ESCAPE, ""
            elif self._where is _Where.STRING:
                out.append(self._string("".join(letters)) + self._end() + '"')
                letters = []
            else:
                out.append(self._outside(character))
        if self._stage is not None:
            out.append(self._string("".join(letters)))
        return "".join(out)

    def finish(self) -> str:
        """The rest of a document that ends here, be it whole or not."""
        if self._where is _Where.NUMBER:
            return self._end_number()
        return self._end() if self._stage is not None else ""

    def _outside(self, character: str) -> str:
        done = ""
        if character in _NUMBER and len(self._number) < _MOST_NUMBER:
            self._where = _Where.NUMBER
            self._number += character
            return ""
        if self._where is _Where.NUMBER:
            done = self._end_number()
        if character == '"':
            self._where, self._stage = _Where.STRING, self._begin()
        return done + character

    def _end_number(self) -> str:
        """A number that was changed is one no more, and becomes a string."""
        number, self._number, self._where = self._number, "", _Where.OUTSIDE
        if not any(map(str.isdigit, number)):
            return number
        stage = self._begin()
        changed = stage.feed(number) + stage.finish()
        return number if changed == number else f'"{changed.translate(_ESCAPED)}"'

    def _string(self, letters: str) -> str:
        assert self._stage is not None
        return self._stage.feed(letters).translate(_ESCAPED) if letters else ""

    def _end(self) -> str:
        stage, self._stage, self._where = self._stage, None, _Where.OUTSIDE
        assert stage is not None
        high, self._high = self._high, ""
        return ((stage.feed(high) if high else "") + stage.finish()).translate(_ESCAPED)

    def _escaped(self, character: str) -> str:
        """The characters that are read when an escape is complete."""
        self._escape += character
        if self._escape[0] == "u" and len(self._escape) < 5:
            if character in "u0123456789abcdefABCDEF":
                return ""
            self._where = _Where.STRING  # no escape: as it stands
            return self._paired("\\" + self._escape)
        self._where = _Where.STRING
        if self._escape[0] == "u":
            return self._paired(chr(int(self._escape[1:], 16)))
        return self._paired(_SHORT.get(character, character))

    def _paired(self, character: str) -> str:
        """Two halves of a character as one; a half is kept until what follows shows whether it is one of two."""
        high, self._high = self._high, ""
        if high and "\udc00" <= character <= "\udfff":
            return (high + character).encode("utf-16", "surrogatepass").decode("utf-16")
        if "\ud800" <= character <= "\udbff":
            self._high = character
            return high
        return high + character

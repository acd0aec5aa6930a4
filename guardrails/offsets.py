"""Where each character of a text that was made from another came from. Composed where texts are made in turns."""

from __future__ import annotations

from array import array
from collections.abc import Sequence


class Offsets:
    """Character `i` came from the original's `[starts[i], ends[i])`. Neither ever falls: a span maps to a span."""

    __slots__ = ("ends", "starts")

    def __init__(self, starts: Sequence[int], ends: Sequence[int]) -> None:
        self.starts = starts
        self.ends = ends

    @classmethod
    def same(cls, length: int) -> Offsets:
        """Those of a text that was not changed; takes no memory."""
        return cls(range(length), range(1, length + 1))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original's part from which `[start, end)` was made; an empty one where it is empty."""
        if start >= end:
            at = self.starts[start] if start < len(self.starts) else (self.ends[-1] if self.ends else 0)
            return at, at
        return self.starts[start], self.ends[end - 1]

    def of(self, inner: Offsets) -> Offsets:
        """Those of a text made from the text these belong to: from its characters straight to the first original."""
        if isinstance(self.starts, range) and self.starts.start == 0:
            return inner
        starts, ends = self.starts, self.ends
        return Offsets(array("q", [starts[at] for at in inner.starts]), array("q", [ends[at - 1] for at in inner.ends]))


class Made:
    """A text being made from another, piece by piece in the order of the original."""

    __slots__ = ("_ends", "_parts", "_starts")

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._starts = array("q")
        self._ends = array("q")

    def copy(self, text: str, start: int) -> None:
        """A piece as it stands in the original at `start`."""
        self._parts.append(text)
        self._starts.extend(range(start, start + len(text)))
        self._ends.extend(range(start + 1, start + len(text) + 1))

    def put(self, text: str, start: int, end: int) -> None:
        """A piece that stands for the original's `[start, end)` as a whole."""
        self._parts.append(text)
        self._starts.extend([start] * len(text))
        self._ends.extend([end] * len(text))

    def done(self) -> tuple[str, Offsets]:
        return "".join(self._parts), Offsets(self._starts, self._ends)

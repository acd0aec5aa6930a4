"""A pattern's tree as steps of a machine (Thompson, 1968): each step takes a character, splits, looks, or accepts."""

from __future__ import annotations

from typing import Final

from guardrails.patterns.syntax import Choice, Look, PatternError, Repeat, Sequence, Set, Tree, longest, parse, shortest

MOST_STEPS: Final = 3_000
"""Of one pattern: repetitions are written out, so a pattern that repeats repetitions grows by their product."""


class Program:
    """The steps of several patterns. Step `i` is `(sets[i] | looks[i] | accepts[i] | a split)`, then `nexts[i]`."""

    __slots__ = ("accepts", "entries", "longest", "looks", "nexts", "sets")

    def __init__(self) -> None:
        self.sets: list[Set | None] = []
        self.looks: list[Look | None] = []
        self.accepts: list[int] = []
        """Which pattern is matched here, or -1."""
        self.nexts: list[tuple[int, ...]] = []
        self.entries: list[int] = []
        self.longest: list[int | None] = []

    def add(self, pattern: str) -> int:
        """The number of a pattern that was added. Raises `PatternError`."""
        tree = parse(pattern)
        if shortest(tree) == 0:
            raise PatternError(pattern, 0, "this matches an empty text, and so everywhere")
        number = len(self.entries)
        most = len(self.nexts) + MOST_STEPS
        end = self._step(accepts=number)
        self.entries.append(self._before(tree, end, most, pattern))
        self.longest.append(longest(tree))
        return number

    def _step(self, *nexts: int, taken: Set | None = None, look: Look | None = None, accepts: int = -1) -> int:
        self.sets.append(taken)
        self.looks.append(look)
        self.accepts.append(accepts)
        self.nexts.append(nexts)
        return len(self.nexts) - 1

    def _before(self, tree: Tree, then: int, most: int, pattern: str) -> int:
        """The first of the steps that match a tree and go on with `then`."""
        if len(self.nexts) > most:
            raise PatternError(pattern, 0, f"this needs more than {MOST_STEPS} steps: repeat less")
        if isinstance(tree, Set):
            return self._step(then, taken=tree)
        if isinstance(tree, Look):
            return self._step(then, look=tree)
        if isinstance(tree, Sequence):
            for part in reversed(tree.parts):
                then = self._before(part, then, most, pattern)
            return then
        if isinstance(tree, Choice):
            return self._step(*(self._before(part, then, most, pattern) for part in tree.parts))
        return self._repeated(tree, then, most, pattern)

    def _repeated(self, tree: Repeat, then: int, most: int, pattern: str) -> int:
        if tree.most is None:
            loop = self._step()
            self.nexts[loop] = (self._before(tree.part, loop, most, pattern), then)
            then = loop
        else:
            after = then
            for _ in range(tree.most - tree.least):
                then = self._step(self._before(tree.part, then, most, pattern), after)
        for _ in range(tree.least):
            then = self._before(tree.part, then, most, pattern)
        return then

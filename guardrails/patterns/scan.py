"""A scan of one text, which may come in pieces: what is matched, and from where on a match is still open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from guardrails.characters import FOLDS, fold
from guardrails.patterns.automaton import DEAD, Automaton, State

Match = tuple[int, int, int]
"""The number of a pattern, start and end in the text."""

Judge = Callable[[int, str, str], bool]
"""Whether a match of a pattern counts, by its text and the `CONTEXT` characters before it, as a reader sees them."""

CONTEXT: Final = 64
"""Characters before a match that its judge is shown, fewer at the start of the text."""


_LEAST_LEAP: Final = 48
"""Pieces shorter than this are read character by character: a stream's are."""
_MOST_KEPT: Final = 512
_BLANKS: Final = " \n\t\r"


class _Opening:
    """A place where matches begin, and how far each pattern has matched from it."""

    __slots__ = ("ends", "start", "state")

    def __init__(self, state: State, start: int) -> None:
        self.state = state
        self.start: Final = start
        self.ends: list[tuple[int, int]] | None = None


class Scan:
    """One text, read from its start. Characters are read as a reader sees them (`characters.fold`), places are
    counted in the text as it came. A match that lies within another of its pattern may be left out.
    """

    __slots__ = ("_automaton", "_base", "_begin", "_judge", "_judged", "_openings", "_text", "at")

    def __init__(self, automaton: Automaton, judge: Judge | None = None, judged: frozenset[int] = frozenset()) -> None:
        self._automaton: Final = automaton
        self._judge: Final = judge
        self._judged: Final = judged
        self._begin = automaton.start
        self._openings: list[_Opening] = []
        self._text = ""  # what judges may still be shown, from `_base` on
        self._base = 0
        self.at = 0
        """How many characters were read."""

    @property
    def settled(self) -> int:
        """Every match that begins before this place is known."""
        return self._openings[0].start if self._openings else self.at

    def feed(self, text: str) -> list[Match]:
        """The matches that are certain after these characters."""
        if self._judge is not None:
            self._text += text
        found: list[Match] = []
        if text.isascii() and text.isprintable():
            if len(text) < _LEAST_LEAP:
                self._walk(text, 0, None, found, False)
            else:
                self._read(text, None, found)
        else:
            seen = [FOLDS[ord(character)] for character in text]
            self._read("".join(seen), [at for at, each in enumerate(seen, self.at) for _ in each], found)
        self.at += len(text)
        if len(self._text) > _MOST_KEPT:
            keep = max(self._base, self.settled - CONTEXT)
            self._text = self._text[keep - self._base :]
            self._base = keep
        return found

    def finish(self) -> list[Match]:
        """The matches that the end of the text makes certain."""
        found: list[Match] = []
        for opening in self._openings:
            self._reached(opening, self._automaton.at_end(opening.state), self.at)
            self._close(opening, found)
        self._openings = []
        return found

    def _read(self, text: str, places: Sequence[int] | None, found: list[Match]) -> None:
        """Steps through characters, `places[i]` of the text each, and leaps over words in which nothing can begin."""
        telling = self._automaton.telling if len(text) >= _LEAST_LEAP else None
        if telling is None:
            self._walk(text, 0, places, found, False)
            return
        last = 1 + max(map(text.rfind, _BLANKS))  # the last word may go on in the next piece
        at = self._walk(text, 0, places, found, True)
        while at < len(text):
            word = telling.search(text, at)
            at = word.start() if word else max(at, last)
            self._begin = self._automaton.after.get(text[at - 1]) or self._automaton.begins(text[at - 1])
            at = self._walk(text, at, places, found, True)

    def _walk(self, text: str, at: int, places: Sequence[int] | None, found: list[Match], leaps: bool) -> int:
        """Where a leap may be tried again, or the end: the inner loop, which is why it is one."""
        automaton = self._automaton
        after = automaton.after
        begin = self._begin
        openings = self._openings
        base = self.at
        for index in range(at, len(text)):
            character = text[index]
            first = begin.moves.get(character) or automaton.move(begin, character)
            begin = after.get(character) or automaton.begins(character)
            if openings:
                state = openings[0].state
                following = state.moves.get(character) or automaton.move(state, character)
                if following.quiet and state.before is None and len(openings) == 1:
                    openings[0].state = following
                else:
                    place = base + index if places is None else places[index]
                    openings = self._advance(openings, character, place, found)
            if first is not DEAD:
                self._open(first, base + index if places is None else places[index], openings, found)
            elif leaps and not openings and character == " ":
                self._begin, self._openings = begin, openings
                return index + 1
        self._begin, self._openings = begin, openings
        return len(text)

    def _advance(self, openings: list[_Opening], character: str, at: int, found: list[Match]) -> list[_Opening]:
        """Each opening by a character. Of two in the same state the earlier stands for both: what the later one still
        matches lies within what the earlier one matches.
        """
        going: list[_Opening] = []
        for opening in openings:
            state = opening.state
            following = state.moves.get(character) or self._automaton.move(state, character)
            if following.quiet and state.before is None and (following.alone or not going):
                opening.state = following
                going.append(opening)
                continue
            if state.before is not None:
                reached = state.before.get(character)
                if reached is None:
                    self._automaton.move(state, character)
                    reached = state.before[character]
                if reached:
                    self._reached(opening, reached, at)
            if following.accepts:
                self._reached(opening, following.accepts, at + 1)
            same = None if following.alone else next((each for each in going if each.state is following), None)
            if following.items and same is None:
                opening.state = following
                going.append(opening)
            else:
                self._close(opening, found, same)
        return going

    def _open(self, first: State, at: int, openings: list[_Opening], found: list[Match]) -> None:
        opening = _Opening(first, at)
        if first.accepts:
            self._reached(opening, first.accepts, at + 1)
        same = None if first.alone else next((each for each in openings if each.state is first), None)
        if first.items and same is None:
            openings.append(opening)
        else:
            self._close(opening, found, same)

    def _reached(self, opening: _Opening, patterns: tuple[int, ...], end: int) -> None:
        if patterns:
            reached = [(number, end) for number in patterns]
            opening.ends = reached if opening.ends is None else opening.ends + reached

    def _close(self, opening: _Opening, found: list[Match], within: _Opening | None = None) -> None:
        """The longest match of each pattern; of one that is judged, the longest that counts. Nothing that lies
        within a match of the opening that goes on for both.
        """
        if opening.ends is None:
            return
        reached = dict(within.ends or ()) if within is not None else {}
        done: set[int] = set()
        at = opening.start - self._base
        before: str | None = None
        for number, end in reversed(opening.ends):
            if number in done or end <= reached.get(number, 0):
                continue
            if self._judge is not None and number in self._judged:
                if before is None:
                    before = fold(self._text[max(0, at - CONTEXT) : at])
                if not self._judge(number, fold(self._text[at : end - self._base]), before):
                    continue
            done.add(number)
            found.append((number, opening.start, end))

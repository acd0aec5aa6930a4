"""The machine of several patterns at once, as a deterministic automaton that is worked out while texts are read.

A state is what the patterns may still take after one beginning. It belongs to one place where matches begin: a scan
carries a state for each such place (`scan`). What a state does with a character is worked out once and remembered;
what is remembered has a bound and is forgotten when that is reached, so time is linear in the text whatever it
holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from guardrails.patterns.program import Program
from guardrails.patterns.syntax import Look, PatternError, Set, is_word

_TELLING_CHARACTERS: Final = "0123456789@_=:/-"
_TELLING: Final = re.compile(r"(?<!\S)[^\s0-9@_=:/-]*+[0-9@_=:/-]")
"""Words (of no blanks) with a character that most words have not."""

_SPACES: Final = " \n\t\r\u2003"
_SAMPLE: Final = [chr(code) for code in range(33, 127)] + list("éß٣α你")

MOST_REMEMBERED: Final = 50_000
"""Moves, over all states (about 100 bytes each)."""
MOST_STATES: Final = 3_000
"""Of one pattern from a configuration: more would be worked out again and again."""

_Condition = tuple[bool, Set | None, str]
"""What the character after a place must be: wanted or not, in a set, or of a kind ("word", "line", "end")."""
_Item = tuple[int, tuple[_Condition, ...]]
"""A step that takes a character or accepts, if the next character allows."""


class State:
    """What may still match after some beginning. `moves[character]` is the state after it, or `DEAD`."""

    __slots__ = ("accepts", "alone", "before", "items", "moves", "quiet")

    def __init__(self, items: tuple[_Item, ...], accepts: tuple[int, ...], alone: bool) -> None:
        self.items: Final = items
        self.accepts: Final = accepts
        """Patterns matched up to here, whatever comes next."""
        self.alone: Final = alone
        """Holds a pattern whose matches are judged by themselves, so that two beginnings are not one."""
        self.quiet: Final = bool(items) and not accepts
        """Goes on, and matches nothing yet."""
        self.moves: dict[str, State] = {}
        self.before: dict[str, tuple[int, ...]] | None = None
        """By the next character: patterns matched up to here because of it. None: there are none."""


DEAD: Final = State((), (), False)


class Automaton:
    """Patterns, found together; `judged` are those whose every match somebody looks at before it counts."""

    __slots__ = ("_judged", "_program", "_remembered", "_states", "after", "start", "telling")

    def __init__(self, patterns: Iterable[str], judged: frozenset[int] = frozenset()) -> None:
        """Raises `PatternError`."""
        self._program: Final = Program()
        for pattern in patterns:
            number = self._program.add(pattern)
            if number in judged and self._program.longest[number] is None:
                raise PatternError(
                    pattern, 0, "a pattern whose matches are judged needs a longest match: bound its repetitions"
                )
        self._judged: Final = judged
        self._states: dict[tuple[tuple[_Item, ...], tuple[int, ...]], State] = {}
        self._remembered = 0
        self.after: Final[dict[str, State]] = {}
        """The state in which a match begins, by the character before it; see `begins`."""
        self.start: Final = self._closed(self._program.entries, None)
        self.telling: Final = _TELLING if self._needs_telling() else None
        """The words in which matches can begin, if they can begin in such words only."""

    def begins(self, before: str) -> State:
        """The state in which a match begins after a character."""
        state = self._closed(self._program.entries, before)
        self._remember()
        self.after[before] = state
        return state

    def move(self, state: State, character: str) -> State:
        """The state after a character, `DEAD` if nothing can match any more; sets `state.before` for it too."""
        sets, nexts, accepts = self._program.sets, self._program.nexts, self._program.accepts
        targets: list[int] = []
        matched = []
        for step, conditions in state.items:
            if conditions and not all(_met(condition, character) for condition in conditions):
                continue
            taken = sets[step]
            if taken is None:
                matched.append(accepts[step])
            elif taken.holds(character):
                targets += nexts[step]
        if state.before is not None:
            state.before[character] = tuple(sorted(set(matched)))
        following = self._closed(targets, character) if targets else DEAD
        self._remember()
        state.moves[character] = following
        return following

    def at_end(self, state: State) -> tuple[int, ...]:
        """Patterns matched up to here because the text ends."""
        accepts = self._program.accepts
        ended = [step for step, conditions in state.items if all(_met(condition, None) for condition in conditions)]
        return tuple(sorted({accepts[step] for step in ended if accepts[step] >= 0}))

    def count_states(self, most: int) -> int:
        """How many states there are; `most` + 1 if they are more than `most`."""
        letters = self._letters()
        found = {id(state): state for state in [self.start, *map(self.begins, letters)]}
        edge = list(found.values())
        while edge:
            state = edge.pop()
            for letter in letters:
                following = self.move(state, letter)
                if id(following) not in found:
                    found[id(following)] = following
                    edge.append(following)
            if len(found) > most:
                return most + 1
        return len(found)

    def _needs_telling(self) -> bool:
        """Whether every match has a telling character before its first blank, so that other words need not be read."""
        program = self._program
        seen: set[int] = set()
        stack = list(program.entries)
        while stack:
            step = stack.pop()
            taken = program.sets[step]
            if step in seen:
                continue
            seen.add(step)
            if program.accepts[step] >= 0 or (taken is not None and any(map(taken.holds, _SPACES))):
                return False
            if taken is None or _takes_silent(taken):
                stack += program.nexts[step]
        return True

    def _letters(self) -> list[str]:
        """A character of each sort that these patterns tell apart."""
        looked = [look.set for look in self._program.looks if look is not None and look.set is not None]
        sets = list(dict.fromkeys([each for each in self._program.sets if each is not None] + looked))
        codes = {ord(each) for each in "aé0٣_ \n-你"}
        for each in sets:
            codes |= {code for low, high in each.ranges for code in (low - 1, low, high, high + 1)}
        sorts: dict[tuple[bool, ...], str] = {}
        for letter in [chr(code) for code in sorted(codes) if 0 <= code < 0x110000]:
            beside = (is_word(letter), letter == "\n", letter.isspace(), letter in _TELLING_CHARACTERS)
            sorts[tuple(each.holds(letter) for each in sets) + beside] = letter
        return list(sorts.values())

    def _remember(self) -> None:
        self._remembered += 1
        if self._remembered > MOST_REMEMBERED:
            for state in self._states.values():
                state.moves.clear()
                if state.before is not None:
                    state.before.clear()
            self._states.clear()
            self.after.clear()
            self._remembered = 0

    def _closed(self, entries: Iterable[int], before: str | None) -> State:
        """The state reached at these steps, without taking another character."""
        program = self._program
        items: set[_Item] = set()
        accepted: set[int] = set()
        seen: set[_Item] = set()
        stack: list[_Item] = [(entry, ()) for entry in entries]
        while stack:
            item = stack.pop()
            if item in seen:
                continue
            seen.add(item)
            step, conditions = item
            look = program.looks[step]
            if program.accepts[step] >= 0 and not conditions:
                accepted.add(program.accepts[step])
            elif program.accepts[step] >= 0 or program.sets[step] is not None:
                items.add(item)
            elif look is None:
                stack += [(following, conditions) for following in program.nexts[step]]
            else:
                more = _condition(look, before)
                if more is not None:
                    joined = tuple(sorted({*conditions, *more}, key=repr)) if more else conditions
                    stack.append((program.nexts[step][0], joined))
        return self._state(items, accepted)

    def _state(self, items: set[_Item], accepted: set[int]) -> State:
        if not items and not accepted:
            return DEAD
        key = (tuple(sorted(items, key=repr)), tuple(sorted(accepted)))
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = State(
                *key, bool(self._judged) and not self._judged.isdisjoint(self._live(items))
            )
            if any(self._program.accepts[step] >= 0 for step, _ in items):
                state.before = {}
        return state

    def _live(self, items: set[_Item]) -> set[int]:
        """The patterns that may still match."""
        entries = self._program.entries
        return {next(number for number, entry in enumerate(entries) if step <= entry) for step, _ in items}


@lru_cache(maxsize=10_000)  # ten thousand words are of a hundred letters
def _takes_silent(taken: Set) -> bool:
    """Whether a set has a character that is neither telling nor a blank."""
    edges = [chr(edge) for each in taken.ranges for edge in each]
    return any(taken.holds(each) and each not in _TELLING_CHARACTERS and not each.isspace() for each in _SAMPLE + edges)


def _condition(look: Look, before: str | None) -> tuple[_Condition, ...] | None:
    """What a look at a place asks of the next character; None if the character before has failed it."""
    if look.side == "behind":
        assert look.set is not None
        return () if (before is not None and look.set.holds(before)) is look.wanted else None
    if look.side == "start":
        return () if before is None or (look.lines and before == "\n") else None
    if look.side == "ahead":
        return ((look.wanted, look.set, "set"),)
    if look.side == "end":
        return ((True, None, "line" if look.lines else "end"),)
    was_word = before is not None and is_word(before)
    return ((look.wanted is not was_word, None, "word"),)


def _met(condition: _Condition, following: str | None) -> bool:
    wanted, characters, kind = condition
    if kind == "set":
        assert characters is not None
        return (following is not None and characters.holds(following)) is wanted
    if kind == "word":
        return (following is not None and is_word(following)) is wanted
    return following is None or (kind == "line" and following == "\n")

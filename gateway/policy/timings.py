"""What took time in a request beside its backends, as the words of its record: its checks, and a model that ran here.

Checks that only read a text do that together, piece by piece, so they are timed together: what was said of the request,
and of the answer. One that asks (the check process, a webhook, a model) is timed by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from gateway.policy import verdicts

REQUEST: Final = "request"
ANSWER: Final = "answer"
RUN: Final = "run"
"""Of a classic model, in this process."""

Told: TypeAlias = Callable[[object | None, str], None]


class Timed(NamedTuple):
    """One thing that took time: of a record's words `stage:check:began_us:took_us:spent_us:times`."""

    stage: str
    check: str
    """The check that asked; empty for all of the stage."""
    began_us: int
    """Since the request began."""
    took_us: int
    """From then to its end."""
    spent_us: int
    """Of those: while a text was read or waited for; while an answer was outstanding."""
    times: int
    """In so many pieces; with so many questions."""


class Stretch:
    """Something that takes time, all at once or in several goes; goes may overlap. In seconds of `now_s`."""

    __slots__ = ("_now_s", "_open", "_since_s", "began_s", "ended_s", "spent_s", "times")

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s: Final = now_s
        self._open = 0
        self._since_s = 0.0
        self.began_s = self.ended_s = 0.0
        self.spent_s = 0.0
        self.times = 0

    def __enter__(self) -> None:
        self.times += 1
        self._open += 1
        if self._open == 1:
            self._since_s = self._now_s()
            if self.times == 1:
                self.began_s = self._since_s

    def __exit__(self, *_: object) -> None:
        self._open -= 1
        if not self._open:
            self._stop()

    def stop(self) -> None:
        """The request ends: what is open is over."""
        if self._open:
            self._stop()

    def _stop(self) -> None:
        self.ended_s = self._now_s()
        self.spent_s += self.ended_s - self._since_s


class Timings:
    """Times the checks of one request, which began at `began_s` of the clock `now_s`."""

    __slots__ = ("_began_s", "_found", "_now_s", "_stage")

    def __init__(self, now_s: Callable[[], float], began_s: float) -> None:
        self._now_s: Final = now_s
        self._began_s: Final = began_s
        self._stage = REQUEST
        self._found: dict[tuple[str, str], Stretch] = {}

    def stage(self, stage: str) -> Stretch:
        """The checks of the request, or of the answer; what is asked from now on is asked for them."""
        self._stage = stage
        return self._of(stage, "")

    def asked(self, check: str, told: Told) -> Told:
        """A check asks now; gives what is to be told the answer in place of `told`, once."""
        stretch = self._of(self._stage, check)
        stretch.__enter__()

        def answered(value: object | None, failure: str) -> None:
            stretch.__exit__()
            told(value, failure)

        return answered

    def words(self) -> str:
        """One for each `Timed`, separated by spaces. What is open ends now, a stage no sooner than what it asked."""
        words: list[str] = []
        latest_s = {REQUEST: 0.0, ANSWER: 0.0}
        for (stage, check), found in reversed(self._found.items()):  # a stage stands before what it asked
            if found.times:
                found.stop()
                latest_s[stage] = max(latest_s[stage], found.ended_s)
                ended_s = (found.ended_s if check else latest_s[stage]) - self._began_s
                words.append(_word(stage, check, found.began_s - self._began_s, ended_s, found.spent_s, found.times))
        return " ".join(reversed(words))

    def _of(self, stage: str, check: str) -> Stretch:
        found = self._found.get((stage, check))
        if found is None:
            found = self._found[stage, check] = Stretch(self._now_s)
        return found


def ran(began_s: float, ended_s: float) -> str:
    """The word of a model's run, from and to so long after the request began."""
    return _word(RUN, "", began_s, ended_s, ended_s - began_s, 1)


def read(words: str) -> list[Timed]:
    """What a record says; a word that was cut off, or is none, says nothing."""
    found = []
    for word in words.split():
        parts = word.split(":")
        if len(parts) == 6 and all(part.isdecimal() for part in parts[2:]):
            began, took, spent, times = map(int, parts[2:])
            found.append(Timed(parts[0], parts[1], began, took, spent, times))
    return found


def _word(stage: str, check: str, began_s: float, ended_s: float, spent_s: float, times: int) -> str:
    name = verdicts.plain(check) if check else ""
    began_us = round(began_s * 1e6)
    return f"{stage}:{name}:{began_us}:{round(ended_s * 1e6) - began_us}:{round(spent_s * 1e6)}:{times}"

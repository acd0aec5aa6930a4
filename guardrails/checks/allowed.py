"""What a check finds, without what may be said: an allow list. What is found is compared as a whole, without regard to
case, so `example.org` on the list frees that address and not `mail.example.org`.
"""

from __future__ import annotations

from collections.abc import Iterable

from guardrails.characters import fold
from guardrails.check import Asking, Check, Need, Sight, Step, Watch
from guardrails.verdict import Finding


class AllowingCheck:
    """A check whose findings in allowed words are none."""

    __slots__ = ("check", "words")

    def __init__(self, check: Check, words: frozenset[str]) -> None:
        self.check = check
        self.words = words
        """As `seen` gives them."""

    @property
    def name(self) -> str:
        return self.check.name

    @property
    def sight(self) -> Sight:
        return self.check.sight

    def watch(self) -> Watch:
        return _AllowingWatch(self.check.watch(), self.words)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AllowingCheck) and (self.check, self.words) == (other.check, other.words)

    def __hash__(self) -> int:
        return hash(self.words)


class AllowingAskedCheck(AllowingCheck):
    """One that asks."""

    __slots__ = ()

    @property
    def asks(self) -> tuple[str, str]:
        assert isinstance(self.check, Asking)
        return self.check.asks


def allowing(check: Check, words: Iterable[str]) -> Check:
    """The check, but for these words; itself if there are none."""
    allowed = frozenset(map(seen, words))
    if not allowed:
        return check
    return (AllowingAskedCheck if isinstance(check, Asking) else AllowingCheck)(check, allowed)


def seen(text: str) -> str:
    """A text as it is compared: as a reader sees it, in small letters, with single blanks."""
    return " ".join(fold(text).casefold().split())


class _AllowingWatch:
    """Keeps the text from which findings may still come: none begins before `settled`."""

    __slots__ = ("_base", "_text", "_watch", "_words")

    def __init__(self, watch: Watch, words: frozenset[str]) -> None:
        self._watch = watch
        self._words = words
        self._text = ""
        self._base = 0  # where it begins

    @property
    def settled(self) -> int:
        return self._watch.settled

    def feed(self, text: str) -> Step:
        self._text += text
        return self._others(self._watch.feed(text))

    def finish(self) -> Step:
        return self._others(self._watch.finish())

    def answer(self, number: int, value: object) -> Step:
        return self._others(self._watch.answer(number, value))

    def _others(self, steps: Step) -> Step:
        kept: list[Finding | Need] = [step for step in steps if isinstance(step, Need) or not self._allows(step)]
        settled = self._watch.settled
        self._text = self._text[settled - self._base :]
        self._base = settled
        return kept

    def _allows(self, finding: Finding) -> bool:
        return seen(self._text[finding.start - self._base : finding.end - self._base]) in self._words

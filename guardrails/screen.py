"""A chain at work on one text, whole or as it streams: text in, what may be delivered out.

What is delivered is the same however the text is cut, and whenever the answers come that checks need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from guardrails.chain import Link, OnFailure
from guardrails.check import Need, Nonsense, Step, Watch
from guardrails.holdback import Holdback, Mask
from guardrails.verdict import Action, Failure, Finding, Ruling, Verdict

RAISED: Final = "raised"
NONSENSE: Final = "nonsense"


def labelled(_: Action, code: str, __: str) -> str:
    """The mask that names what it hides: `[EMAIL_ADDRESS]`."""
    return f"[{code}]"


class Call:
    """A need of one check of the chain, to be answered to the screen that asked."""

    __slots__ = ("link", "need", "rank")

    def __init__(self, link: Link, need: Need, rank: int) -> None:
        self.link: Final = link
        """Says the deadline."""
        self.need: Final = need
        self.rank: Final = rank


class Screen:
    """One text under the checks of one phase."""

    __slots__ = ("_calls", "_failures", "_holdback", "_links", "_open", "_read", "_rulings", "_watches")

    def __init__(self, links: Sequence[Link], mask: Mask = labelled) -> None:
        self._links: Final = links
        self._watches: list[Watch | None] = [link.check.watch() for link in links]
        self._holdback: Final = Holdback(mask)
        self._rulings: list[Ruling] = []
        self._failures: list[Failure] = []
        self._calls: list[Call] = []
        self._open: dict[tuple[int, int], Call] = {}
        self._read = 0

    @property
    def blocked(self) -> bool:
        """Nothing more is delivered, whatever comes."""
        return self._holdback.blocked_at is not None

    @property
    def waits(self) -> bool:
        """Answers are outstanding."""
        return bool(self._open) and not self.blocked

    def feed(self, text: str) -> str:
        """What may be delivered after these characters."""
        if self.blocked:
            return ""
        self._read += len(text)
        self._holdback.add(text)
        self._each(lambda watch: watch.feed(text))
        return self._release()

    def finish(self) -> str:
        """What may be delivered at the end of the text; all of it unless `waits`."""
        if self.blocked:
            return ""
        self._each(lambda watch: watch.finish())
        return self._release()

    def calls(self) -> list[Call]:
        """What checks newly need; each call is answered or failed, once."""
        calls, self._calls = self._calls, []
        return calls

    def answer(self, call: Call, value: object) -> str:
        """What may be delivered after an answer."""
        if self._open.pop((call.rank, call.need.number), None) is None or self.blocked:
            return ""
        self._step(call.rank, lambda watch: watch.answer(call.need.number, value))
        return self._release()

    def fail(self, call: Call, reason: str) -> str:
        """What may be delivered after a need that was not met, by what the chain says of failures."""
        if self._open.pop((call.rank, call.need.number), None) is None or self.blocked:
            return ""
        self._failed(call.rank, reason)
        return self._release()

    def verdict(self) -> Verdict:
        """What was decided so far, in the order of the text; of a blocked text nothing that begins after the block."""
        ordered = sorted(self._rulings, key=lambda ruling: (ruling.finding.start, ruling.finding.end))
        last = self._holdback.blocked_at
        if last is not None:
            ordered = [ruling for ruling in ordered if ruling.finding.start <= last]
        return Verdict(tuple(ordered), tuple(self._failures))

    def _each(self, look: Callable[[Watch], Step]) -> None:
        for rank in range(len(self._watches)):
            self._step(rank, look)

    def _step(self, rank: int, look: Callable[[Watch], Step]) -> None:
        watch = self._watches[rank]
        if watch is None:
            return
        try:
            steps = look(watch)
        except Nonsense:
            self._failed(rank, NONSENSE)
            return
        except Exception:  # noqa: BLE001 - whatever a check raises, its failure mode says what becomes of the text
            self._failed(rank, RAISED)
            return
        link = self._links[rank]
        for step in steps:
            if isinstance(step, Need):
                call = Call(link, step, rank)
                self._calls.append(call)
                self._open[rank, step.number] = call
            else:
                self._rulings.append(Ruling(step, link.action, link.enforced))
                if link.enforced and link.action.changes:
                    self._holdback.hold(step, link.action, rank)

    def _failed(self, rank: int, reason: str) -> None:
        """The check judges no more. Closed, nothing after what it had judged is delivered."""
        link, watch = self._links[rank], self._watches[rank]
        if watch is None:
            return
        closed = link.enforced and link.on_failure is OnFailure.CLOSED
        self._failures.append(Failure(link.check.name, reason, closed))
        if closed:
            at = watch.settled
            self._holdback.hold(Finding(link.check.name, "failed", 1.0, at, at), Action.BLOCK, rank)
        self._watches[rank] = None

    def _release(self) -> str:
        settled = self._read
        for link, watch in zip(self._links, self._watches, strict=True):
            if watch is not None and link.holds:
                settled = min(settled, watch.settled)
        return self._holdback.release(settled)

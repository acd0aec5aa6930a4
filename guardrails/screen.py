"""A chain at work on one text, whole or as it streams: text in, what may be delivered out.

What is delivered is the same however the text is cut, and whenever the answers come that checks need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from guardrails.chain import Link, OnFailure, Row
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

    __slots__ = ("link", "need", "row")

    def __init__(self, link: Link, need: Need, row: int) -> None:
        self.link: Final = link
        """Says the deadline."""
        self.need: Final = need
        self.row: Final = row


class Screen:
    """One text under the checks of one phase."""

    __slots__ = ("_calls", "_failures", "_holdback", "_open", "_read", "_rows", "_rulings", "_watches")

    def __init__(self, rows: Sequence[Row], mask: Mask = labelled) -> None:
        self._rows: Final = rows
        self._watches: list[Watch | None] = [row.check.watch() for row in rows]
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
        for row, watch in enumerate(self._watches):
            if watch is not None:
                try:
                    steps = watch.feed(text)
                except Exception:  # noqa: BLE001 - whatever a check raises, its failure mode says what becomes of the text
                    self._failed(row, RAISED)
                    continue
                if steps:
                    self._take(row, steps)
        return self._release()

    def finish(self) -> str:
        """What may be delivered at the end of the text; all of it unless `waits`."""
        if self.blocked:
            return ""
        for row in range(len(self._watches)):
            self._step(row, lambda watch: watch.finish())
        return self._release()

    def calls(self) -> list[Call]:
        """What checks newly need; each call is answered or failed, once."""
        calls, self._calls = self._calls, []
        return calls

    def answer(self, call: Call, value: object) -> str:
        """What may be delivered after an answer."""
        if self._open.pop((call.row, call.need.number), None) is None or self.blocked:
            return ""
        self._step(call.row, lambda watch: watch.answer(call.need.number, value))
        return self._release()

    def fail(self, call: Call, reason: str) -> str:
        """What may be delivered after a need that was not met, by what the chain says of failures."""
        if self._open.pop((call.row, call.need.number), None) is None or self.blocked:
            return ""
        self._failed(call.row, reason)
        return self._release()

    def verdict(self) -> Verdict:
        """What was decided so far, in the order of the text; of a blocked text nothing that begins after the block."""
        ordered = sorted(self._rulings, key=lambda ruling: (ruling.finding.start, ruling.finding.end))
        last = self._holdback.blocked_at
        if last is not None:
            ordered = [ruling for ruling in ordered if ruling.finding.start <= last]
        return Verdict(tuple(ordered), tuple(self._failures))

    def _step(self, row: int, look: Callable[[Watch], Step]) -> None:
        watch = self._watches[row]
        if watch is None:
            return
        try:
            steps = look(watch)
        except Nonsense:
            self._failed(row, NONSENSE)
        except Exception:  # noqa: BLE001 - whatever a check raises, its failure mode says what becomes of the text
            self._failed(row, RAISED)
        else:
            self._take(row, steps)

    def _take(self, row: int, steps: Step) -> None:
        links = self._rows[row].links
        for step in steps:
            if isinstance(step, Need):
                _, link = next(iter(links.values()))
                call = Call(link, step, row)
                self._calls.append(call)
                self._open[row, step.number] = call
            else:
                rank, link = links[step.check]
                self._rulings.append(Ruling(step, link.action, link.enforced))
                if link.enforced and link.action.changes:
                    self._holdback.hold(step, link.action, rank)

    def _failed(self, row: int, reason: str) -> None:
        """A check judges no more. Closed, nothing after what it had judged is delivered; of one that raised, nobody
        knows what that is.
        """
        watch = self._watches[row]
        if watch is None:
            return
        for rank, link in self._rows[row].links.values():
            closed = link.enforced and link.on_failure is OnFailure.CLOSED
            self._failures.append(Failure(link.check.name, reason, closed))
            if closed:
                at = self._holdback.released if reason == RAISED else watch.settled
                self._holdback.hold(Finding(link.check.name, "failed", 1.0, at, at), Action.BLOCK, rank)
        self._watches[row] = None

    def _release(self) -> str:
        settled = self._read
        for row, watch in zip(self._rows, self._watches, strict=True):
            if watch is not None and row.holds:
                settled = min(settled, watch.settled)
        return self._holdback.release(settled)

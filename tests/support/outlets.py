"""Outlets for the tests of editors: what a test scripts, and what the gateway puts a channel's text through."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gateway.dataplane.outlets import ScreenOutlet, Told
from gateway.wire.edits import Editor, Outcome, Outlet
from guardrails.chain import Row
from guardrails.holdback import Mask
from guardrails.screen import Call, labelled

Score = Callable[[Call], object]
"""What a check is told that asks."""


class ScriptedOutlet:
    """Holds everything up to the last `|`, which itself is left out; `sign` blocks. At the end it waits for `answer`,
    if it is told to wait, and then gives the rest."""

    def __init__(self, *, waits: bool = False, blocked: bool = False, sign: str = "!") -> None:
        self._sign = sign
        self.blocked = blocked
        self.waits = False
        self._will_wait = waits
        self._held = ""
        self._free = ""
        self.fed = ""

    def feed(self, text: str) -> str:
        self.fed += text
        before, blocks, _ = (self._held + text).partition(self._sign)
        free, bar, held = before.rpartition("|")
        if self.blocked:
            return ""
        if blocks:
            self.blocked = True
            return before.replace("|", "")
        self._held = held
        return (free + bar).replace("|", "")

    def more(self) -> str:
        freed, self._free = self._free, ""
        return freed

    def finish(self) -> str:
        if self._will_wait and not self.blocked:
            self.waits = True
            return ""
        rest, self._held = self._held, ""
        return "" if self.blocked else rest

    def answer(self, *, block: bool = False) -> None:
        """What it waited for came."""
        self.waits = False
        self.blocked = block
        self._free, self._held = "" if block else self._held, ""


class Asking:
    """The gateway's own outlets; what their checks ask waits here until the test has it answered by `score`."""

    def __init__(self, score: Score) -> None:
        self._score = score
        self.asked: list[tuple[Call, Told]] = []

    def outlet(self, rows: Sequence[Row], mask: Mask = labelled) -> ScreenOutlet:
        """Of one text."""
        return ScreenOutlet(rows, mask, lambda call, told: self.asked.append((call, told)), lambda: None)

    def answer(self, which: int = 0) -> None:
        """One of what is asked, counted anyhow."""
        call, told = self.asked.pop(which % len(self.asked))
        told(self._score(call), "")

    def answer_all(self) -> None:
        """And what is asked then."""
        while self.asked:
            self.answer()

    def judged(self, outlet: Outlet, text: str) -> Outcome:
        """What becomes of a text that is there whole."""
        said = outlet.feed(text) + outlet.finish()
        self.answer_all()
        return Outcome(said + outlet.more(), blocked=outlet.blocked)

    def end(self, editor: Editor) -> bytes:
        """What an editor sends at the end, when all is answered."""
        sent = [editor.finish()]
        while editor.waits:
            self.answer()
            sent.append(editor.more())
        return b"".join(sent)

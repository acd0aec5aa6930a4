"""Real chains between an answer and its reader, without the gateway: what the properties of the editors are held to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gateway.wire.edits import Channel, Outcome, Outlet, Part
from guardrails.chain import Chain
from guardrails.jsontext import JsonText
from guardrails.screen import Call, Screen
from guardrails.settings import chain_of
from guardrails.verdict import Phase

BAD: Final = "BAD"
"""In a sentence that the classifier finds."""

ADDRESS: Final = "joe@example.org"
STOP: Final = "stop now"

_BOTH: Final = ["output", "tool_call"]
CHAIN: Final = chain_of(
    "all",
    [
        {"check": "regex", "phase": _BOTH, "action": "mask", "patterns": {"ADDRESS": "joe@example[.]org"}},
        {"check": "regex", "phase": _BOTH, "action": "block", "patterns": {"STOP": STOP}},
        {"check": "toxicity", "phase": "output", "action": "block", "deadline_ms": 100},
    ],
)
"""Masks the address, blocks at the words, and asks whether a sentence is BAD."""


class ScreenedText:
    """A channel's text under a chain; see `edits.Outlet`. What its checks ask is answered at once, or by `answer`."""

    def __init__(self, phase: str, *, late: bool = False, chain: Chain = CHAIN) -> None:
        self._screen: Final = Screen(chain.rows(Phase(phase)))
        self._late: Final = late
        self._asked: list[Call] = []
        self._free: list[str] = []

    @property
    def blocked(self) -> bool:
        return self._screen.blocked

    @property
    def waits(self) -> bool:
        return self._screen.waits

    def feed(self, text: str) -> str:
        return self._given(self._screen.feed(text))

    def more(self) -> str:
        free, self._free = "".join(self._free), []
        return free

    def finish(self) -> str:
        return self._given(self._screen.finish())

    def answer(self) -> None:
        """Answers what was asked so far; what that sets free comes with `more`."""
        asked, self._asked = self._asked, []
        for call in asked:
            self._free.append(self._screen.answer(call, 1.0 if BAD in call.need.text else 0.0))

    def _given(self, given: str) -> str:
        self._asked += self._screen.calls()
        if self._late:
            return self.more() + given
        self.answer()
        return given + self.more()


class ScreenedJson:
    """The same of a document, text by text; a block in one is the end of all. Its chain asks nothing."""

    waits: Final = False

    def __init__(self, phase: str, chain: Chain = CHAIN) -> None:
        self._rows: Final = chain.rows(Phase(phase))
        self._screens: list[Screen] = []
        self._json: Final = JsonText(self._begin)

    @property
    def blocked(self) -> bool:
        return any(screen.blocked for screen in self._screens[-1:])

    def feed(self, text: str) -> str:
        given = []
        for character in text:
            if self.blocked:
                break
            given.append(self._json.feed(character))
        return "".join(given)

    def more(self) -> str:
        return ""

    def finish(self) -> str:
        return "" if self.blocked else self._json.finish()

    def _begin(self) -> Screen:
        self._screens.append(Screen(self._rows))
        return self._screens[-1]


class Screens:
    """Opens outlets, and has them answered."""

    def __init__(self, *, late: bool = False) -> None:
        self._late: Final = late
        self._texts: list[ScreenedText] = []

    def open(self, channel: Channel) -> Outlet:
        """An `edits.Opening`."""
        if channel.is_json:
            return ScreenedJson(Phase.TOOL_CALL)
        self._texts.append(ScreenedText(channel.phase, late=self._late))
        return self._texts[-1]

    def answer(self) -> None:
        """All that is asked."""
        for text in self._texts:
            text.answer()


def judged(parts: Sequence[Part]) -> list[Outcome]:
    """What becomes of the parts of a whole answer."""
    outcomes = []
    for part in parts:
        outlet: Outlet = ScreenedJson(Phase.TOOL_CALL) if part.is_json else ScreenedText(part.phase)
        outcomes.append(Outcome(outlet.feed(part.text) + outlet.finish(), blocked=outlet.blocked))
    return outcomes

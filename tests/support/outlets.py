"""Outlets for the tests of editors: what the gateway puts a channel's text through, without the gateway."""

from __future__ import annotations

from guardrails.screen import Call, Screen


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


class ScreenOutlet:
    """A screen's; what its checks ask goes to `asked`, whence the test answers."""

    def __init__(self, screen: Screen, asked: list[tuple[ScreenOutlet, Call]]) -> None:
        self._screen = screen
        self._asked = asked
        self._free = ""

    @property
    def blocked(self) -> bool:
        return self._screen.blocked

    @property
    def waits(self) -> bool:
        return self._screen.waits

    def feed(self, text: str) -> str:
        return self._after(self._screen.feed(text))

    def more(self) -> str:
        freed, self._free = self._free, ""
        return freed

    def finish(self) -> str:
        return self._after(self._screen.finish())

    def answer(self, call: Call, value: object) -> None:
        self._free += self._after(self._screen.answer(call, value))

    def _after(self, said: str) -> str:
        self._asked += [(self, call) for call in self._screen.calls()]
        return said

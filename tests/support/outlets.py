"""Outlets for the tests of editors: what the gateway puts a channel's text through, without the gateway."""

from __future__ import annotations


class ScriptedOutlet:
    """Holds everything up to the last `|`, which itself is left out; a `!` blocks. At the end it waits for `answer`,
    if it is told to wait, and then gives the rest."""

    def __init__(self, *, waits: bool = False, blocked: bool = False) -> None:
        self.blocked = blocked
        self.waits = False
        self._will_wait = waits
        self._held = ""
        self._free = ""
        self.fed = ""

    def feed(self, text: str) -> str:
        self.fed += text
        before, blocks, _ = (self._held + text).partition("!")
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
